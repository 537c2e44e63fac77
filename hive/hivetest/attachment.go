package hivetest

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
	"mime"
	"net/http"
	"strconv"
	"strings"
)

var attachmentRoutes = []route{
	{method: "POST", template: "/api/v1/case/{id}/attachments", form: formBody, permission: "manageCase/update", run: needs(caseKind, attach)},
	{method: "POST", template: "/api/v1/alert/{id}/attachments", form: formBody, permission: "manageAlert/update", run: needs(alertKind, attach)},
	{method: "GET", template: "/api/v1/case/{id}/attachment/{file}", run: needs(caseKind, download)},
	{method: "GET", template: "/api/v1/case/{id}/attachment/{file}/download", run: needs(caseKind, download)},
	{method: "GET", template: "/api/v1/alert/{id}/attachment/{file}", run: needs(alertKind, download)},
	{method: "GET", template: "/api/v1/alert/{id}/attachment/{file}/download", run: needs(alertKind, download)},
	{method: "GET", template: "/api/v1/observable/{id}/attachment/{file}", run: needs(observableKind, downloadOwn)},
	{method: "GET", template: "/api/v1/observable/{id}/attachment/{file}/download", run: needs(observableKind, downloadOwn)},
	{method: "GET", template: "/api/v1/log/{id}/attachment/{file}", run: needs(logKind, downloadOwn)},
	{method: "GET", template: "/api/v1/log/{id}/attachment/{file}/download", run: needs(logKind, downloadOwn)},
	{method: "DELETE", template: "/api/v1/case/{id}/attachment/{file}", permission: "manageCase/update", run: needs(caseKind, detach)},
	{method: "DELETE", template: "/api/v1/alert/{id}/attachment/{file}", permission: "manageAlert/update", run: needs(alertKind, detach)},
}

// keep stores a file's bytes once and returns its properties.
func (s *store) keep(f filePart) map[string]any {
	sum, sha, md := sha256.Sum256(f.data), sha1.Sum(f.data), md5.Sum(f.data)
	id := hex.EncodeToString(sum[:])
	s.blobs[id] = f.data
	return map[string]any{
		"name": f.name, "contentType": f.mime, "size": int64(len(f.data)), "id": id, "path": id,
		"hashes": []string{id, hex.EncodeToString(sha[:]), hex.EncodeToString(md[:])},
	}
}

// loose makes an attachment that belongs to a property, not to a list.
func (c *call) loose(f filePart, st stamp) *doc {
	return c.h.store.free(attachmentKind, c.viewer.org, c.h.store.keep(f), st)
}

// attach adds files to a case or alert; a name that is taken gets a number (TheHive since 5.1.6).
func attach(c *call, parent *entry) (reply, error) {
	files := c.form.named("attachments")
	if len(files) == 0 {
		return reply{}, missing("attachments")
	}
	st := c.stamp()
	docs := make([]*doc, 0, len(files))
	for _, f := range files {
		f.name = freeName(parent, f.name)
		docs = append(docs, c.child(attachmentKind, parent, c.h.store.keep(f), st).doc)
	}
	b := append(appendRows([]byte(`{"attachments":`), docs, c.viewer), '}')
	return reply{status: http.StatusCreated, raw: b}, nil
}

func freeName(parent *entry, name string) string {
	taken := map[string]bool{}
	for e := range parent.children(attachmentKind).each {
		taken[e.doc.text("name")] = true
	}
	base, ext := name, ""
	if dot := strings.LastIndexByte(name, '.'); dot > 0 {
		base, ext = name[:dot], name[dot:]
	}
	free := name
	for n := 1; taken[free]; n++ {
		free = base + " (" + strconv.Itoa(n) + ")" + ext
	}
	return free
}

// attached finds an attachment of a case or alert by its id or by its hash.
func attached(parent *entry, id string) *entry {
	for e := range parent.children(attachmentKind).each {
		if e.id == id || e.doc.text("id") == id {
			return e
		}
	}
	return nil
}

func download(c *call, parent *entry) (reply, error) {
	if e := attached(parent, c.args[1]); e != nil {
		return c.file(e.doc)
	}
	return reply{}, notFound("Attachment %s not found", c.args[1])
}

func detach(c *call, parent *entry) (reply, error) {
	if e := attached(parent, c.args[1]); e != nil {
		return deleteEntry(c, e)
	}
	return reply{}, notFound("Attachment %s not found", c.args[1])
}

// downloadOwn answers a file of an observable or of a task's log.
func downloadOwn(c *call, e *entry) (reply, error) {
	docs, _ := e.doc.get("attachments").([]*doc)
	if one, ok := e.doc.get("attachment").(*doc); ok {
		docs = append(docs, one)
	}
	for _, d := range docs {
		if d.entry.id == c.args[1] || d.text("id") == c.args[1] {
			return c.file(d)
		}
	}
	return reply{}, notFound("Attachment %s not found", c.args[1])
}

// file answers a file's bytes, or with asZip a zip file that DefaultZipPassword opens.
func (c *call) file(d *doc) (reply, error) {
	data, name, kind := c.h.store.blobs[d.text("id")], d.text("name"), d.text("contentType")
	if strings.EqualFold(c.r.URL.Query().Get("asZip"), "true") {
		zipped, err := zipOne(name, data, DefaultZipPassword)
		if err != nil {
			return reply{}, err
		}
		data, name, kind = zipped, name+".zip", "application/zip"
	}
	if data == nil {
		data = []byte{}
	}
	disposition := mime.FormatMediaType("attachment", map[string]string{"filename": name})
	return reply{status: http.StatusOK, raw: data, mime: kind, header: http.Header{"Content-Disposition": {disposition}}}, nil
}

// expandFiles makes one set of values for each uploaded file, for each file inside a zip, or for the file referred to.
func (c *call) expandFiles(_ *entry, values map[string]any, zipped bool, password string) ([]map[string]any, error) {
	if values["data"] != nil {
		return nil, badRequest("A file is expected for dataType %s", values["dataType"])
	}
	st := c.stamp()
	var docs []*doc
	if ref, ok := values["attachment"].(map[string]any); ok {
		id, _ := ref["id"].(string)
		name, _ := ref["name"].(string)
		kind, _ := ref["contentType"].(string)
		data, known := c.h.store.blobs[id]
		if !known {
			return nil, notFound("Attachment %s not found", id)
		}
		docs = append(docs, c.loose(filePart{name: name, mime: kind, data: data}, st))
	}
	for _, f := range c.form.named("attachment") {
		files := []filePart{f}
		if zipped {
			var err error
			if files, err = unzip(f.data, password); err != nil {
				return nil, badRequest("Zip file %s: %v", f.name, err)
			}
		}
		for _, f := range files {
			docs = append(docs, c.loose(f, st))
		}
	}
	if len(docs) == 0 {
		return nil, missing("attachment")
	}
	out := make([]map[string]any, len(docs))
	for i, d := range docs {
		out[i] = copyOf(values)
		out[i]["attachment"] = d
	}
	return out, nil
}
