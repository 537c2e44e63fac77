package enrich

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
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

// FilePolicy says what becomes of files; zero values mean the defaults. Which of them go into an
// archive is for the planner to say ([PlannerOptions]).
type FilePolicy struct {
	Attach      bool   // as attachments of the case; default: as observables of type "file"
	MaxBytes    int64  // largest file, whatever its form (default 100 MiB)
	Spool       string // folder for files on their way (default: the system's for temporary files)
	ZipPassword string // of archives: 1 to 64 visible ASCII characters without a backtick (default [DefaultZipPassword])
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

// addFiles uploads what the case lacks. It is the last step: what is wrong with a file costs
// nothing else.
func (w *work) addFiles(held context.Context) error {
	for _, f := range w.want.files() {
		if f.SHA256 != "" && w.hasFile(fileHash(f.SHA256, f.Name)) {
			continue
		}
		err := w.addFile(held, f)
		if bad, ok := errors.AsType[*badFileError](err); ok {
			w.refuseItem(f.owners, Refusal{Step: kindFile, Item: short(f.Name), Type: "FileError", Reason: bad.reason})
			continue
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// addFile uploads one file, unless the case has it in any form. Errors: *badFileError.
func (w *work) addFile(held context.Context, f wantedFile) error {
	s, err := w.spool(held, f.File)
	if err != nil {
		return err
	}
	defer s.remove()
	item := fileHash(s.sha, f.Name)
	if w.hasFile(item) {
		return nil
	}
	if !w.listed[kindFile] && !w.created {
		if err := w.listFiles(held); err != nil || w.hasFile(item) {
			return err
		}
	}
	send, err := w.choose(held, f, s)
	if err != nil || send == nil {
		return err
	}
	return w.upload(held, f, *send, 0)
}

// upload posts one file, and looks before it posts it again.
func (w *work) upload(held context.Context, f wantedFile, u outgoing, tries int) error {
	if _, err := u.content.Seek(0, io.SeekStart); err != nil {
		return err
	}
	limit := w.e.options.Call + time.Duration(u.size/slowestUpload)*time.Second
	if err := w.claim.allow(held, limit-w.e.options.Call); err != nil {
		return err
	}
	calls, done := w.claim.calling(held)
	defer done()
	name, err := w.send(calls, u, limit)
	if err == nil {
		w.body.noteFile(fileHash(u.sha, name), u.item)
		return nil
	}
	if uncertain(err) {
		return w.lookForFile(held, f, u, tries, err)
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

// send posts a file in the form that the policy chooses, and tells the name that TheHive gave it:
// attachments whose name is taken get another.
func (w *work) send(calls context.Context, u outgoing, limit time.Duration) (string, error) {
	upload := hive.Upload{Name: u.name, Size: u.size, Body: u.content, Timeout: limit}
	if w.e.options.Files.Attach {
		made, err := w.hive.AddAttachments(calls, w.c.ID, upload)
		if err != nil {
			return "", err
		}
		return cmp.Or(made[0].Name, u.name), nil
	}
	result, err := w.hive.AddFile(calls, w.c.ID, hive.NewObservable{DataType: typeFile, Message: u.message, Tags: u.tags}, upload)
	if err != nil || len(result.Refused) == 0 || result.Refused[0].Exists() {
		return u.name, err
	}
	r := result.Refused[0]
	return "", &hive.Error{Op: "add file", Status: 400, Type: r.Type, Message: r.Message, Sent: true}
}

func (w *work) lookForFile(held context.Context, f wantedFile, u outgoing, tries int, cause error) error {
	w.e.happened(EventAmbiguous, w.c.Number, "add file")
	if tries == maxResends {
		return errors.Join(ErrUnsettled, cause)
	}
	there := false
	err := w.look(held, cause, func() (bool, error) {
		err := w.listFiles(held)
		there = w.isThere(u)
		return there, err
	})
	if err != nil || there {
		return err
	}
	return w.upload(held, f, u, tries+1)
}

// noteFile makes the entry say that TheHive lists a file, which stands for another, or for itself.
func (b *caseBody) noteFile(listed, item string) {
	if !slices.Contains(b.Files, listed) {
		b.Files = append(b.Files, listed)
	}
	if listed != item {
		if b.Stored == nil {
			b.Stored = map[string]string{}
		}
		b.Stored[listed] = item
	}
}
