package hivetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

// problem is an error as TheHive answers it.
type problem struct {
	status int
	header http.Header
	Type   string           `json:"type"`
	Text   string           `json:"message"`
	Errors []attributeFault `json:"errors,omitempty"`
}

func (p *problem) Error() string { return p.Type + ": " + p.Text }

// attributeFault is one refused property of a body, in TheHive's form.
type attributeFault struct {
	Type   string `json:"type"`
	Name   string `json:"name"`
	Format string `json:"format,omitempty"`
	Field  any    `json:"field,omitempty"`
}

func attributes(faults []attributeFault) error {
	var b strings.Builder
	for _, f := range faults {
		b.WriteByte('[')
		switch f.Type {
		case "MissingAttributeError":
			b.WriteString("Attribute " + f.Name + " is missing")
		case "UnknownAttributeError":
			b.WriteString("Unknown attribute " + f.Name + ": " + clip(f.Field))
		default:
			b.WriteString("Invalid format for " + f.Name + ": " + clip(f.Field) + ", expected " + f.Format)
		}
		b.WriteByte(']')
	}
	return &problem{status: http.StatusBadRequest, Type: "AttributeCheckingError", Text: b.String(), Errors: faults}
}

// clip writes a refused value, cut short so that an answer never echoes megabytes.
func clip(v any) string {
	if v == nil {
		return "FNull"
	}
	b, err := json.Marshal(v)
	if err != nil {
		return "?"
	}
	if len(b) > 200 {
		return strings.ToValidUTF8(string(b[:200]), "") + "…"
	}
	return string(b)
}

func missing(name string) error {
	return attributes([]attributeFault{{Type: "MissingAttributeError", Name: name}})
}

func invalid(name string, v any, format string) error {
	return attributes([]attributeFault{{Type: "InvalidFormatAttributeError", Name: name, Field: v, Format: format}})
}

func badRequest(format string, args ...any) error {
	return &problem{status: http.StatusBadRequest, Type: "BadRequest", Text: fmt.Sprintf(format, args...)}
}

func createError(format string, args ...any) error {
	return &problem{status: http.StatusBadRequest, Type: "CreateError", Text: fmt.Sprintf(format, args...)}
}

func notFound(format string, args ...any) error {
	return &problem{status: http.StatusNotFound, Type: "NotFoundError", Text: fmt.Sprintf(format, args...)}
}

func unauthorised() error {
	return &problem{status: http.StatusUnauthorized, Type: "AuthenticationError", Text: "Authentication failure"}
}

func forbidden(action, permission string) error {
	return &problem{
		status: http.StatusForbidden, Type: "AuthorizationError",
		Text: "Your are not authorized to " + action + ", you haven't the permission " + permission,
	}
}

func notPermitted() error {
	return &problem{status: http.StatusForbidden, Type: "AuthorizationError", Text: "Operation not permitted"}
}

func tooLarge() error {
	return &problem{status: http.StatusRequestEntityTooLarge, Type: "BadRequest", Text: "Request Entity Too Large"}
}
