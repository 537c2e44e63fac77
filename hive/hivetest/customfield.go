package hivetest

import (
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
)

// customValue is one custom field of a case, alert or template, as TheHive writes it.
type customValue struct {
	ID    string `json:"_id"`
	Name  string `json:"name"`
	Type  string `json:"type"`
	Value any    `json:"value"`
	Order int64  `json:"order"`
}

// resolveCustom turns custom fields as sent into values as kept: the value must be of its field's type.
// A field that nobody defined is left out, or refused by option. In an update, fields that are not named keep their values.
func (s *store) resolveCustom(values map[string]any, former *doc) error {
	sent, ok := values["customFields"].([]customInput)
	if !ok {
		return nil
	}
	out := []customValue{}
	if former != nil {
		old, _ := former.get("customFields").([]customValue)
		out = slices.Clone(old)
	}
	for i, in := range sent {
		def := s.lookup(customFieldKind, "", in.name)
		if def == nil && !s.refuseUnknown {
			continue
		}
		if def == nil {
			return notFound("CustomField %s not found", in.name)
		}
		v, err := customTyped(def.doc, in.value)
		if err != nil {
			return err
		}
		order := in.order
		if order < 0 {
			order = int64(i)
		}
		name := def.doc.text("name")
		value := customValue{name + ":" + plainText(v), name, def.doc.text("type"), v, order}
		at := slices.IndexFunc(out, func(o customValue) bool { return o.Name == name })
		if at < 0 {
			out = append(out, value)
		} else {
			out[at] = value
		}
	}
	values["customFields"] = out
	return nil
}

func plainText(v any) string {
	if s, ok := v.(string); ok {
		return s
	}
	return string(toJSON(v))
}

// customTyped checks a value against its field's type and options; null is allowed everywhere.
func customTyped(def *doc, v any) (any, error) {
	if v == nil {
		return nil, nil //nolint:nilnil // null is a value
	}
	name, kind := def.text("name"), def.text("type")
	out, ok := ofType(kind, v)
	if !ok {
		return nil, invalid("customFields."+name, v, kind)
	}
	options, _ := def.get("options").([]any)
	if len(options) > 0 && !slices.ContainsFunc(options, func(o any) bool { return plainText(o) == plainText(out) }) {
		return nil, badRequest("Invalid value for custom field %s: not one of its options", name)
	}
	return out, nil
}

func ofType(kind string, v any) (any, bool) {
	switch kind {
	case "integer", "date":
		return asWhole(v)
	case "float":
		n, ok := v.(json.Number)
		if !ok {
			return nil, false
		}
		f, err := strconv.ParseFloat(n.String(), 64)
		return f, err == nil
	case "boolean":
		b, ok := v.(bool)
		return b, ok
	case "url":
		s, ok := v.(string)
		if u, err := url.Parse(s); !ok || err != nil || u.Scheme == "" {
			return nil, false
		}
		return s, true
	}
	s, ok := v.(string)
	return s, ok
}

func asWhole(v any) (any, bool) {
	n, ok := whole(v)
	return n, ok
}
