package hive

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/textproto"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode"
)

// Upload is one file on its way to TheHive. Its body is streamed, never held.
type Upload struct {
	// Name is the file's name without a folder, at most [MaxFileName] units.
	Name string
	// ContentType defaults to application/octet-stream.
	ContentType string
	// Size is the exact number of bytes of Body, or 0 when it is not known:
	// the request is then sent in chunks. With a Size, a Body that ends early
	// fails the call before TheHive can act on it.
	Size int64
	// Body is read once and not closed. When it is also an io.Seeker, a refused
	// upload is sent again in place from where Body stood, and Body is not read
	// any more once the call has returned.
	Body io.Reader
	// Zip makes TheHive unpack the file, each entry becoming an observable;
	// for [Client.AddFile] only.
	Zip bool
	// ZipPassword opens the archive; empty means TheHive's default, "malware"
	// unless configured otherwise.
	ZipPassword string
	// Timeout replaces Options.Timeout for this call when it is longer.
	Timeout time.Duration
}

// check refuses an upload that cannot work or whose name could act.
func (u Upload) check(op string) error {
	switch {
	case u.Body == nil:
		return invalid(op, "upload", "has no body")
	case u.Size < 0:
		return invalid(op, "upload", "has a negative size")
	case u.Name == "." || u.Name == "..", strings.ContainsAny(u.Name, `/\`):
		return invalid(op, "upload", "has a path for a name: "+quote(u.Name))
	case strings.ContainsFunc(u.Name, isControl):
		return invalid(op, "upload", "has a control character in its name: "+quote(u.Name))
	case strings.ContainsFunc(u.ContentType, func(r rune) bool { return isControl(r) || r > unicode.MaxASCII }):
		return invalid(op, "upload", "has a control or foreign character in its content type: "+quote(u.ContentType))
	}
	if u.ContentType != "" {
		if _, _, err := mime.ParseMediaType(u.ContentType); err != nil {
			return invalid(op, "upload", "has a broken content type: "+quote(u.ContentType))
		}
	}
	return checkTexts(op,
		rule{"upload", u.Name, 1, MaxFileName},
		rule{"zipPassword", u.ZipPassword, 0, MaxPassword})
}

// form is a multipart body: what precedes each file, the file, the end.
type form struct {
	boundary string
	heads    [][]byte
	files    []Upload
	starts   []int64 // where each file stood at first, -1: it cannot seek
	tail     []byte
	timeout  time.Duration
	current  *uploadBody // of the attempt that runs, or ran last; nil before the first
}

// field is a plain part that precedes the files.
type field struct{ name, value string }

// jsonField is the part "_json", which carries what a JSON body would.
func jsonField(op string, body any) (field, error) {
	text, err := json.Marshal(body)
	if err != nil {
		return field{}, invalid(op, "body", "cannot be encoded: "+err.Error())
	}
	return field{"_json", string(text)}, nil
}

// bodyWithFile is what a JSON body would carry, with a file beside it.
func (c *Client) bodyWithFile(op string, body any, part string, file Upload) (*form, error) {
	return c.bodyWithFiles(op, body, func(int) string { return part }, file)
}

// bodyWithFiles is bodyWithFile for several, whose parts are called by their number.
func (c *Client) bodyWithFiles(op string, body any, part func(int) string, files ...Upload) (*form, error) {
	for _, f := range files {
		if err := f.check(op); err != nil {
			return nil, err
		}
	}
	text, err := jsonField(op, body)
	if err != nil {
		return nil, err
	}
	f, err := newForm([]field{text}, part, files, c.options.Timeout)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", op, err)
	}
	return f, nil
}

// newForm lays the parts out; the name of a file's part is that of its number.
func newForm(fields []field, part func(int) string, files []Upload, usual time.Duration) (*form, error) {
	var buffer bytes.Buffer
	w := multipart.NewWriter(&buffer)
	f := &form{boundary: w.Boundary(), files: files}
	for _, p := range fields {
		if err := w.WriteField(p.name, p.value); err != nil {
			return nil, err
		}
	}
	for i, file := range files {
		if _, err := w.CreatePart(fileHeader(part(i), file)); err != nil {
			return nil, err
		}
		f.heads = append(f.heads, bytes.Clone(buffer.Bytes()))
		buffer.Reset()
		f.starts = append(f.starts, position(file.Body))
		f.timeout = max(f.timeout, usual, file.Timeout)
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	f.tail = bytes.Clone(buffer.Bytes())
	return f, nil
}

// fileHeader is the header of a file's part.
func fileHeader(part string, file Upload) textproto.MIMEHeader {
	contentType := file.ContentType
	if contentType == "" {
		contentType = "application/octet-stream"
	}
	name := strings.NewReplacer(`"`, "%22").Replace(file.Name) // as browsers do; the rest was refused
	return textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="` + part + `"; filename="` + name + `"`},
		"Content-Type":        {contentType},
	}
}

// position is where a body stands, -1 when it cannot seek.
func position(body io.Reader) int64 {
	if s, ok := body.(io.Seeker); ok {
		if at, err := s.Seek(0, io.SeekCurrent); err == nil {
			return at
		}
	}
	return -1
}

// contentType is the request's.
func (f *form) contentType() string { return "multipart/form-data; boundary=" + f.boundary }

// length is the length of the whole body, -1 when a file's is unknown.
func (f *form) length() int64 {
	n := int64(len(f.tail))
	for i, head := range f.heads {
		if f.files[i].Size == 0 {
			return -1
		}
		n += int64(len(head)) + f.files[i].Size
	}
	return n
}

// reader is the body from its beginning. A file longer than it said is cut
// off by an error, not sent short of its end.
func (f *form) reader() io.Reader {
	parts := make([]io.Reader, 0, 2*len(f.heads)+1)
	for i, head := range f.heads {
		parts = append(parts, bytes.NewReader(head), exactly(f.files[i].Body, f.files[i].Size))
	}
	return io.MultiReader(append(parts, bytes.NewReader(f.tail))...)
}

// retire keeps an attempt that is over from reading on. A connection does so while a server that
// has answered goes on taking what is sent.
func (f *form) retire() {
	if f == nil || f.current == nil {
		return
	}
	f.current.retired.Store(true)
	if slices.Contains(f.starts, -1) {
		return // nobody reads it again, and it may be slow: it is not waited for
	}
	f.current.reading.Lock()
	defer f.current.reading.Unlock()
}

// cut ends an attempt that was answered, and reports that its request surely never had its end: who
// answers so early passed on at most a part. A source that is not waited for may give it still.
func (f *form) cut() bool {
	if f == nil || f.current == nil || slices.Contains(f.starts, -1) {
		return false
	}
	f.retire()
	return f.current.unfinished()
}

// rewind puts every file back to where it stood; false when one cannot.
func (f *form) rewind() bool {
	if f == nil {
		return true
	}
	f.retire()
	for i, at := range f.starts {
		s, ok := f.files[i].Body.(io.Seeker)
		if at < 0 || !ok {
			return false
		}
		if _, err := s.Seek(at, io.SeekStart); err != nil {
			return false
		}
	}
	return true
}

// exactly passes body on and fails when it has not size bytes; 0: any number.
func exactly(body io.Reader, size int64) io.Reader {
	if size == 0 {
		return body
	}
	return &exactReader{body: body, left: size}
}

// exactReader fails in place of an end of file that comes early or late.
type exactReader struct {
	body io.Reader
	left int64
}

// Read reads up to what is left, then makes sure that nothing follows.
func (r *exactReader) Read(p []byte) (int, error) {
	if r.left == 0 {
		var one [1]byte
		if n, err := io.ReadFull(r.body, one[:]); n == 0 && err == io.EOF {
			return 0, io.EOF
		} else if n == 0 {
			return 0, err
		}
		return 0, ErrLonger
	}
	n, err := r.body.Read(p[:min(int64(len(p)), r.left)])
	r.left -= int64(n)
	if err == io.EOF {
		if r.left > 0 {
			return n, io.ErrUnexpectedEOF
		}
		err = nil
	}
	return n, err
}

// errRetired ends the request of an attempt that is over.
var errRetired = errors.New("the attempt is over")

// uploadBody remembers whether its source failed, and whether it came to its
// end: a request without an end is one that TheHive did not act on.
type uploadBody struct {
	source  io.Reader
	reading sync.Mutex // held while the source is read
	retired atomic.Bool

	mu    sync.Mutex
	known bool  // how long the request is
	left  int64 // bytes to its end, if known
	ended bool
	err   error
}

// Read passes on, and remembers how it went before the bytes can leave: with
// the last of a known length the request is whole, whether the transport comes
// back for the end or not.
func (b *uploadBody) Read(p []byte) (int, error) {
	b.reading.Lock()
	defer b.reading.Unlock()
	if b.retired.Load() {
		return 0, errRetired
	}
	n, err := b.source.Read(p)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.left -= int64(n); b.known && b.left <= 0 {
		b.ended = true
	}
	switch err {
	case nil:
	case io.EOF:
		b.ended = true
	default:
		b.err = err
	}
	return n, err
}

// Close leaves the source to its owner.
func (b *uploadBody) Close() error { return nil }

// failure is what the source failed with, nil when it did not.
func (b *uploadBody) failure() error {
	if b == nil {
		return nil
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.err
}

// unfinished reports that the body did not come to its end.
func (b *uploadBody) unfinished() bool {
	if b == nil {
		return false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.ended
}
