package hivetest

import (
	"encoding/json"
	"net/http"
)

// Wrong is how an answer says something else than what the call did, which stands.
type Wrong int

// The wrong answers, for [Action] after the effect.
const (
	Nameless Wrong = 1 + iota // a 207 does not say which values it refused
	Other                     // what the answer names has other values than were sent
	Fewer                     // the answer lists one object fewer than were stored
)

// SaysExists is the action by which TheHive refuses something as a double, whether it is there or not.
func SaysExists() Action {
	return Action{Status: http.StatusBadRequest, Type: "CreateError", Message: "Observable already exists"}
}

// wrongly rewrites an answer; one that has nothing to be wrong in stays.
func (o *reply) wrongly(how Wrong, v viewer) reply {
	var body any
	if o.status >= http.StatusMultipleChoices || json.Unmarshal(o.bytes(v), &body) != nil {
		return *o
	}
	switch how {
	case Nameless:
		parts, _ := body.(map[string]any)
		eachObject(parts["failure"], func(m map[string]any) { delete(m, "object") })
	case Other:
		eachObject(created(body), otherValues)
	case Fewer:
		body = fewer(body)
	}
	return reply{status: o.status, header: o.header, raw: toJSON(body)}
}

// created is the part of an answer that holds what was made.
func created(body any) any {
	if parts, ok := body.(map[string]any); ok && parts["success"] != nil {
		return parts["success"]
	}
	return body
}

// eachObject calls f for an object, or for each of a list.
func eachObject(v any, f func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		f(v)
	case []any:
		for _, e := range v {
			if m, ok := e.(map[string]any); ok {
				f(m)
			}
		}
	}
}

// otherValues makes an entity another one of the same id.
func otherValues(m map[string]any) {
	for name, value := range map[string]any{"data": "other", "patternId": "T0000", "message": "other", "customFields": []any{}} {
		if m[name] != nil {
			m[name] = value
		}
	}
}

func fewer(body any) any {
	switch v := body.(type) {
	case []any:
		return v[:max(len(v)-1, 0)]
	case map[string]any:
		if list, ok := v["success"].([]any); ok {
			v["success"] = list[:max(len(list)-1, 0)]
		}
	}
	return body
}
