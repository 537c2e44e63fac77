package hive_test

import (
	"encoding/json"
	"fmt"

	"github.com/getkin/kin-openapi/openapi3"
)

// judgeJSON checks values by the schema and names by its properties.
func (j *judge) judgeJSON(what string, schema *openapi3.Schema, text []byte) []string {
	var v any
	if err := json.Unmarshal(text, &v); err != nil {
		return []string{what + " is not JSON: " + err.Error()}
	}
	out := unknownNames(what, schema, v)
	if err := schema.VisitJSON(j.withoutNulls(v), openapi3.MultiErrors()); err != nil {
		out = append(out, what+": "+err.Error())
	}
	return out
}

// withoutNulls leaves out what the files cannot express (deviation "null").
func (j *judge) withoutNulls(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, field := range v {
			if field == nil {
				j.deviate("null")
				if name != "value" { // of a custom field: required, and null is "not set"
					continue
				}
				field = ""
			}
			out[name] = j.withoutNulls(field)
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = j.withoutNulls(v[i])
		}
		return out
	}
	return v
}

// unknownNames lists the properties that a schema does not know, which the
// validation lets pass.
func unknownNames(at string, schema *openapi3.Schema, v any) []string {
	for _, choice := range [][]*openapi3.SchemaRef{schema.OneOf, schema.AnyOf} {
		if len(choice) == 0 {
			continue
		}
		var best []string
		for i, s := range choice {
			if found := unknownNames(at, s.Value, v); i == 0 || len(found) < len(best) {
				best = found
			}
		}
		return best
	}
	var out []string
	switch v := v.(type) {
	case []any:
		for i, item := range v {
			if schema.Items != nil {
				out = append(out, unknownNames(fmt.Sprintf("%s[%d]", at, i), schema.Items.Value, item)...)
			}
		}
	case map[string]any:
		if len(schema.Properties) == 0 {
			return nil
		}
		for name, field := range v {
			if property := schema.Properties[name]; property != nil {
				out = append(out, unknownNames(at+"."+name, property.Value, field)...)
			} else if schema.AdditionalProperties.Schema == nil {
				out = append(out, "unknown property "+at+"."+name)
			}
		}
	}
	return out
}
