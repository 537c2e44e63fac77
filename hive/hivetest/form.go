package hivetest

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
)

// DefaultZipPassword opens and closes zip files where a request names no password, as in TheHive's configuration.
const DefaultZipPassword = "malware"

// form is a multipart request: plain fields and files in their order. The part _json is not among them.
type form struct {
	fields map[string]string
	files  []filePart
}

// filePart is one uploaded file.
type filePart struct {
	field, name, mime string
	data              []byte
}

// most parts that a multipart request may have.
const maxParts = 1000

func isMultipart(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	return err == nil && kind == "multipart/form-data"
}

// parseForm reads a multipart body. The part _json may be a plain field or, as Python's requests sends it, a file.
func (c *call) parseForm() error {
	_, params, err := mime.ParseMediaType(c.r.Header.Get("Content-Type"))
	if err != nil || params["boundary"] == "" {
		return badRequest("multipart: no boundary")
	}
	reader := multipart.NewReader(bytes.NewReader(c.raw), params["boundary"])
	c.form = &form{fields: map[string]string{}}
	c.body = map[string]any{}
	for n := 0; ; n++ {
		part, err := reader.NextRawPart()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil || n >= maxParts {
			return badRequest("multipart: malformed body")
		}
		if err := c.addPart(part); err != nil {
			return err
		}
	}
}

func (c *call) addPart(part *multipart.Part) error {
	data, err := io.ReadAll(part)
	if err != nil {
		return badRequest("multipart: malformed part")
	}
	field, name := part.FormName(), part.FileName()
	switch {
	case field == "":
		return badRequest("multipart: a part has no name")
	case field == "_json":
		return c.parseJSON(data)
	case name == "" && part.Header.Get("Content-Type") == "":
		c.form.fields[field] = string(data)
		return nil
	}
	kind := part.Header.Get("Content-Type")
	c.form.files = append(c.form.files, filePart{field, clean(name), or(kind, "application/octet-stream"), data})
	return nil
}

// clean keeps the last element of a file name, so that no name is a path.
func clean(name string) string {
	name = name[strings.LastIndexAny(name, `/\`)+1:]
	return or(name, "file")
}

func (f *form) named(field string) []filePart {
	var out []filePart
	if f == nil {
		return nil
	}
	for _, p := range f.files {
		if p.field == field {
			out = append(out, p)
		}
	}
	return out
}
