package enrich

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"time"

	"forager/enrich/detection"
	"forager/hive"
)

// Opener opens files that detections carry by reference, "bucket/key" in an object store.
type Opener interface {
	// Open gives the content and its size. The caller bounds the time by the context and closes
	// the reader. Errors: ErrNoObject when there is none; all others may pass.
	Open(ctx context.Context, ref string) (io.ReadCloser, int64, error)
}

// ErrNoObject says that the file that a detection refers to does not exist.
var ErrNoObject = errors.New("no such object")

// FilePolicy says what becomes of files; zero values mean the defaults.
type FilePolicy struct {
	Attach   bool   // as attachments of the case; default: as observables of type "file"
	MaxBytes int64  // largest file (default 100 MiB)
	Spool    string // folder for files on their way (default: the system's for temporary files)
}

const (
	defaultMaxFile = 100 << 20
	// slowestUpload is the rate, in bytes a second, that a file's deadline allows for.
	slowestUpload = 256 << 10
	kindFile      = "file"
	typeFile      = "file"
)

// wantedFile is one file with the plans that brought it.
type wantedFile struct {
	detection.File
	owners []int
}

// files unites the files of the plans by what names them.
func (w *want) files() []wantedFile {
	var all []wantedFile
	seen := map[string]int{}
	for i, p := range w.plans {
		for _, f := range p.Files {
			name := f.Name + "\x00" + f.Object + "\x00" + f.SHA256 + "\x00" + digest(f.Data)
			if at, ok := seen[name]; ok {
				all[at].owners = owned(all[at].owners, i)
				continue
			}
			seen[name] = len(all)
			all = append(all, wantedFile{f, []int{i}})
		}
	}
	return all
}

func digest(data []byte) string {
	if data == nil {
		return ""
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

func fileHash(sha, name string) string { return itemHash("file", sha, name) }

// addFiles uploads what the case lacks. It is the last step: what is wrong with a file costs
// nothing else.
func (w *work) addFiles(held context.Context) error {
	for _, f := range w.want.files() {
		if f.SHA256 != "" && w.hasFile(fileHash(f.SHA256, f.Name)) {
			continue
		}
		if err := w.addFile(held, f); err != nil {
			return err
		}
	}
	return nil
}

func (w *work) hasFile(hash string) bool {
	return slices.Contains(w.body.Files, hash) || w.marks.has(kindFile, hash)
}

func (w *work) addFile(held context.Context, f wantedFile) error {
	s, err := w.spool(held, f.File)
	if bad, ok := errors.AsType[*badFileError](err); ok {
		w.refuseItem(f.owners, Refusal{Step: kindFile, Item: short(f.Name), Type: "FileError", Reason: bad.reason})
		return nil
	}
	if err != nil {
		return err
	}
	defer s.remove()
	hash := fileHash(s.sha, f.Name)
	if w.hasFile(hash) {
		return nil
	}
	if !w.listed[kindFile] && !w.created {
		if err := w.listFiles(held); err != nil || w.hasFile(hash) {
			return err
		}
	}
	return w.upload(held, f, s, hash, 0)
}

// upload posts one file, and looks before it posts it again.
func (w *work) upload(held context.Context, f wantedFile, s *spooled, hash string, tries int) error {
	if _, err := s.Seek(0, io.SeekStart); err != nil {
		return err
	}
	limit := w.e.options.Call + time.Duration(s.size/slowestUpload)*time.Second
	if err := w.claim.allow(held, limit-w.e.options.Call); err != nil {
		return err
	}
	calls, done := w.claim.calling(held)
	defer done()
	err := w.send(calls, hive.Upload{Name: f.Name, Size: s.size, Body: s, Timeout: limit})
	if err == nil {
		w.body.Files = append(w.body.Files, hash)
		return nil
	}
	if uncertain(err) {
		return w.lookForFile(held, f, s, hash, tries, err)
	}
	refusal, ok := refusalOf(kindFile, f.Name, err)
	if !ok {
		return err
	}
	if err := w.stillThere(calls, err); err != nil {
		return err
	}
	w.refuseItem(f.owners, refusal)
	return nil
}

// send posts a file in the form that the policy chooses.
func (w *work) send(calls context.Context, u hive.Upload) error {
	if w.e.options.Files.Attach {
		_, err := w.hive.AddAttachments(calls, w.c.ID, u)
		return err
	}
	result, err := w.hive.AddFile(calls, w.c.ID, hive.NewObservable{DataType: typeFile}, u)
	if err != nil || len(result.Refused) == 0 || result.Refused[0].Exists() {
		return err
	}
	r := result.Refused[0]
	return &hive.Error{Op: "add file", Status: 400, Type: r.Type, Message: r.Message, Sent: true}
}

func (w *work) lookForFile(held context.Context, f wantedFile, s *spooled, hash string, tries int, cause error) error {
	w.e.happened(EventAmbiguous, w.c.Number, "add file")
	if tries == maxResends {
		return errors.Join(ErrUnsettled, cause)
	}
	err := w.look(held, cause, func() (bool, error) {
		err := w.listFiles(held)
		return w.hasFile(hash), err
	})
	if err != nil || w.hasFile(hash) {
		return err
	}
	return w.upload(held, f, s, hash, tries+1)
}

// listFiles makes the entry hold the files that are in the case, in either form.
func (w *work) listFiles(held context.Context) error {
	calls, done := w.claim.calling(held)
	defer done()
	var there []string
	for o, err := range w.hive.CaseObservables(calls, w.c.ID) {
		if err != nil {
			return err
		}
		if o.Attachment != nil {
			there = append(there, fileHash(o.Attachment.ContentID, o.Attachment.Name))
		}
	}
	for a, err := range w.hive.CaseAttachments(calls, w.c.ID) {
		if err != nil {
			return err
		}
		there = append(there, fileHash(a.ContentID, a.Name))
	}
	if err := w.noticed(held, kindFile, subtract(w.body.Files, there), there); err != nil {
		return err
	}
	w.body.Files = there
	w.listed[kindFile] = true
	return nil
}

// spooled is a file on this machine's disk, whole and checked.
type spooled struct {
	*os.File
	sha  string
	size int64
}

func (s *spooled) remove() {
	_ = s.Close()
	_ = os.Remove(s.Name())
}

// badFileError says what is wrong with a file for good.
type badFileError struct{ reason string }

func (e *badFileError) Error() string { return e.reason }

// spool copies a file to disk, outside the apply slots, and checks size and digest before a byte
// of it goes to TheHive.
func (w *work) spool(held context.Context, f detection.File) (*spooled, error) {
	source, size, err := w.open(held, f)
	if errors.Is(err, ErrNoObject) {
		return nil, &badFileError{"object " + short(f.Object) + " does not exist"}
	}
	if err != nil {
		return nil, fmt.Errorf("open file: %w", err)
	}
	defer source.Close()
	most := w.e.options.Files.MaxBytes
	if size > most {
		return nil, &badFileError{fmt.Sprintf("%d bytes, at most %d are allowed", size, most)}
	}
	w.seat.leave()
	s, err := copyOut(w.e.options.Files.Spool, io.LimitReader(source, most+1))
	if err != nil {
		return nil, err
	}
	if bad := s.check(f, most); bad != nil {
		s.remove()
		return nil, bad
	}
	if err := w.seat.take(held); err != nil {
		s.remove()
		return nil, err
	}
	return s, nil
}

func (w *work) open(held context.Context, f detection.File) (io.ReadCloser, int64, error) {
	if f.Object == "" {
		return io.NopCloser(bytes.NewReader(f.Data)), int64(len(f.Data)), nil
	}
	if w.e.options.Opener == nil {
		return nil, 0, ErrNoObject
	}
	return w.e.options.Opener.Open(held, f.Object)
}

func (s *spooled) check(f detection.File, most int64) error {
	switch {
	case s.size > most:
		return &badFileError{fmt.Sprintf("more than the %d bytes that are allowed", most)}
	case f.SHA256 != "" && f.SHA256 != s.sha:
		return &badFileError{"SHA-256 is " + s.sha + ", the detection says " + short(f.SHA256)}
	default:
		return nil
	}
}

func copyOut(dir string, source io.Reader) (*spooled, error) {
	file, err := os.CreateTemp(dir, "forager-*")
	if err != nil {
		return nil, fmt.Errorf("spool file: %w", err)
	}
	sum := sha256.New()
	n, err := io.Copy(io.MultiWriter(file, sum), source)
	s := &spooled{File: file, size: n, sha: hex.EncodeToString(sum.Sum(nil))}
	if err != nil {
		s.remove()
		return nil, fmt.Errorf("spool file: %w", err)
	}
	return s, nil
}
