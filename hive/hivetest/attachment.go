package hivetest

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
	"mime"
	"mime/multipart"
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
		"external": false, "hashes": []string{id, hex.EncodeToString(sha[:]), hex.EncodeToString(md[:])},
	}
}

// loose makes an attachment that belongs to a property, not to a list.
func (c *call) loose(f filePart, st stamp) *doc {
	values := c.h.store.keep(f)
	if c.h.quirks.SecondName == "observable" {
		values["twin"] = f.name
	}
	return c.h.store.free(attachmentKind, c.viewer.org, values, st)
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

var (
	errPassword = errors.New("wrong password")
	errZipSize  = errors.New("unpacked files are too large")
	errZipForm  = errors.New("malformed zip file")
)

// maxUnzipped bounds what a zip file may unfold to, in bytes.
const maxUnzipped = 256 << 20

// unzip returns the top-level files of a zip file, decrypted by the traditional method where they are encrypted.
func unzip(data []byte, password string) ([]filePart, error) {
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return nil, errZipForm
	}
	var out []filePart
	var total int64
	for _, f := range archive.File {
		if strings.ContainsAny(f.Name, `/\`) {
			continue
		}
		content, err := unzipOne(f, password, maxUnzipped-total)
		if err != nil {
			return nil, err
		}
		total += int64(len(content))
		out = append(out, filePart{name: f.Name, mime: "application/octet-stream", data: content})
	}
	return out, nil
}

func unzipOne(f *zip.File, password string, limit int64) ([]byte, error) {
	raw, err := f.OpenRaw()
	if err != nil {
		return nil, errZipForm
	}
	packed, err := io.ReadAll(raw)
	if err != nil {
		return nil, errZipForm
	}
	if f.Flags&1 != 0 {
		if packed, err = decrypt(packed, password, f); err != nil {
			return nil, err
		}
	}
	content := packed
	switch f.Method {
	case zip.Store:
	case zip.Deflate:
		content, err = io.ReadAll(io.LimitReader(flate.NewReader(bytes.NewReader(packed)), limit+1))
	default:
		return nil, errZipForm
	}
	switch {
	case int64(len(content)) > limit:
		return nil, errZipSize
	case err != nil, crc32.ChecksumIEEE(content) != f.CRC32:
		if f.Flags&1 != 0 {
			return nil, errPassword
		}
		return nil, errZipForm
	}
	return content, nil
}

// cipher is the traditional PKWARE encryption of zip files (APPNOTE.TXT, section 6.1).
type cipher [3]uint32

func newCipher(password string) *cipher {
	c := &cipher{0x12345678, 0x23456789, 0x34567890}
	for i := range len(password) {
		c.update(password[i])
	}
	return c
}

func (c *cipher) update(b byte) {
	c[0] = crc32.IEEETable[byte(c[0])^b] ^ c[0]>>8
	c[1] = (c[1]+c[0]&0xff)*134775813 + 1
	c[2] = crc32.IEEETable[byte(c[2])^byte(c[1]>>24)] ^ c[2]>>8
}

func (c *cipher) next() byte {
	t := c[2] | 2
	return byte(t * (t ^ 1) >> 8)
}

const cipherHead = 12 // bytes of noise before the encrypted data; the last one checks the password

func decrypt(packed []byte, password string, f *zip.File) ([]byte, error) {
	if len(packed) < cipherHead {
		return nil, errZipForm
	}
	c := newCipher(password)
	out := make([]byte, len(packed))
	for i, b := range packed {
		out[i] = b ^ c.next()
		c.update(out[i])
	}
	check := byte(f.CRC32 >> 24)
	if f.Flags&8 != 0 {
		check = byte(f.ModifiedTime >> 8)
	}
	if out[cipherHead-1] != check {
		return nil, errPassword
	}
	return out[cipherHead:], nil
}

// zipOne writes a zip file of one encrypted entry.
func zipOne(name string, data []byte, password string) ([]byte, error) {
	sum := crc32.ChecksumIEEE(data)
	c := newCipher(password)
	plain := make([]byte, cipherHead, cipherHead+len(data))
	binary.LittleEndian.PutUint32(plain, sum)
	plain[cipherHead-1] = byte(sum >> 24)
	plain = append(plain, data...)
	for i, b := range plain {
		plain[i] = b ^ c.next()
		c.update(b)
	}
	var out bytes.Buffer
	w := zip.NewWriter(&out)
	entry, err := w.CreateRaw(&zip.FileHeader{
		Name: name, Method: zip.Store, Flags: 1, CRC32: sum,
		CompressedSize64: uint64(len(plain)), UncompressedSize64: uint64(len(data)),
	})
	if err != nil {
		return nil, err
	}
	if _, err := entry.Write(plain); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

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
