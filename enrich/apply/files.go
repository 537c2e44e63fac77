package apply

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"slices"
	"time"

	"forager/enrich"
	"forager/enrich/claim"
	"forager/enrich/detection"
	"forager/enrich/files"
	"forager/hive"
)

// FilePolicy says what becomes of files; zero values mean the defaults. Which of them go into an
// archive is for the planner to say ([PlannerOptions]).
type FilePolicy struct {
	Attach      bool   // as attachments of the case; default: as observables of type "file"
	MaxBytes    int64  // largest file, whatever its form (default 100 MiB)
	Spool       string // folder for files on their way (default: the system's for temporary files)
	SpoolBytes  int64  // that these files may take there at a time (default 200 MiB); one that is larger is alone there
	ZipPassword string // of archives: 1 to 64 visible ASCII characters without a backtick (default [files.DefaultPassword])
}

const (
	defaultMaxFile = 100 << 20
	defaultSpool   = 200 << 20
	// slowestUpload is the rate, in bytes a second, that a file's deadline allows for.
	slowestUpload = 256 << 10
	kindFile      = "file"
	typeFile      = "file"
)

// desiredFile is one file with the plans that brought it.
type desiredFile struct {
	detection.File
	at     int64 // event time of what brought it first, ms
	owners []int
}

// files unites the files of the plans by what names them.
func (w *desired) files() []desiredFile {
	var all []desiredFile
	seen := map[string]int{}
	for i, p := range w.plans {
		for _, f := range p.Files {
			name := f.Name + "\x00" + f.Object + "\x00" + f.SHA256 + "\x00" + contentSum(f.Data)
			if at, ok := seen[name]; ok {
				all[at].owners = owned(all[at].owners, i)
				continue
			}
			seen[name] = len(all)
			all = append(all, desiredFile{f, p.At.UnixMilli(), []int{i}})
		}
	}
	return all
}

func contentSum(data []byte) string {
	if data == nil {
		return ""
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// fileStep adds the files that a case lacks.
type fileStep struct {
	*caseWork

	files []listedFile // as last listed
}

// run uploads what the case lacks. What is wrong with one file costs no other.
func (w *fileStep) run(held context.Context) error {
	w.refuseBarred()
	hopeless := 0 // files in a row that failed without a verdict
	for _, f := range w.desired.files() {
		if f.SHA256 != "" && w.hasFile(fileHash(f.SHA256, f.Name)) {
			continue
		}
		err := enrich.ErrUnsettled
		if hopeless < maxHopelessFiles {
			err = w.addFile(held, f)
		}
		if err == nil {
			hopeless = 0
			continue
		}
		if bad, ok := errors.AsType[*files.BadFileError](err); ok {
			w.refuseFile(f, enrich.Refusal{Step: kindFile, Item: enrich.Excerpt(f.Name), Type: "FileError", Reason: bad.Reason})
			continue
		}
		if ended := held.Err(); ended != nil {
			return claim.Ended(held)
		}
		if e, ok := errors.AsType[*hive.Error](err); scopeOf(err) == scopeAll || ok && e.Status == 0 && !e.Sent {
			return err
		}
		if scopeOf(err) == scopeFailed {
			hopeless++
		}
		w.charge(f.owners, kindFile, f.Name, err)
	}
	return nil
}

// maxHopelessFiles bounds how many files in a row are tried in vain.
const maxHopelessFiles = 3

// refuseFile charges a file that is at fault by itself.
func (w *fileStep) refuseFile(f desiredFile, r enrich.Refusal) {
	for _, o := range f.owners {
		w.out.refuse([]int{w.charged[o]}, r)
	}
}

// addFile uploads one file, unless the case has it in any form. Errors: *files.BadFileError.
func (w *fileStep) addFile(held context.Context, f desiredFile) error {
	var s *files.File
	err := caught(func() (err error) { s, err = w.spool(held, f.File); return err })
	if err != nil {
		return err
	}
	defer s.Release()
	item := fileHash(s.SHA256(), f.Name)
	if w.hasFile(item) {
		return nil
	}
	if !w.listed[kindFile] && !w.created {
		if err := w.list(held); err != nil || w.hasFile(item) {
			return err
		}
	}
	send, err := w.choose(held, f, s)
	if err != nil || send == nil {
		return err
	}
	return w.upload(held, *send)
}

// upload posts one file, and looks before it posts it again.
func (w *fileStep) upload(held context.Context, u fileForm) error {
	return bisection[fileForm]{
		send: func(one []fileForm) ([]fileForm, error) { return one, w.sendFile(held, one[0]) },
		look: func(one []fileForm, cause error) error { return w.lookForFile(held, one[0], cause) },
		missing: func(one []fileForm) []fileForm {
			if w.isThere(one[0]) {
				return nil
			}
			return one
		},
		alone: func(_ fileForm, err error) error { return err },
	}.run([]fileForm{u})
}

// sendFile makes one request, and compares the answer with what was sent: there is what TheHive
// names by its content, or lists.
func (w *fileStep) sendFile(held context.Context, u fileForm) error {
	if _, err := u.content.Seek(0, io.SeekStart); err != nil {
		return err
	}
	if err := w.intend(held, kindFile); err != nil {
		return err
	}
	limit := w.a.options.Call + time.Duration(u.size/slowestUpload)*time.Second
	if err := w.claim.Allow(held, limit-w.a.options.Call); err != nil {
		return err
	}
	calls, done := calling(held, w.claim)
	defer done()
	made, err := w.postFile(calls, u, limit)
	if err != nil {
		return cmp.Or(w.stillThere(calls, err), err)
	}
	if made.ContentID == u.sha {
		w.body.noteFile(fileHash(u.sha, cmp.Or(made.Name, u.name)), u.item)
		w.posted(kindFile)
		return nil
	}
	if there, err := w.openFile(held, u, made.refusal != ""); there || err != nil {
		return err
	}
	return &hive.Error{
		Op: "add file", Status: http.StatusBadRequest, Type: "OtherFile", Sent: true,
		Message: cmp.Or(made.refusal, "TheHive answered with another file"),
	}
}

// openFile lists a file of which an answer leaves open whether it is there. Where TheHive says that
// it exists, its list may lag behind, or it has the content under another name.
func (w *fileStep) openFile(held context.Context, u fileForm, exists bool) (there bool, err error) {
	err = w.lookUntilSettled(held, enrich.ErrUnsettled, func() (bool, error) {
		if err := w.list(held); err != nil {
			return false, err
		}
		if there = w.isThere(u); !there && exists {
			var err error
			if there, err = w.nameFile(held, u); err != nil {
				return there, err
			}
		}
		return there || !exists, nil
	})
	return there, err
}

// madeFile is a file as TheHive's answer names it; empty when it says that it exists.
type madeFile struct {
	hive.Attachment

	refusal string
}

// postFile posts a file in the form that the policy chooses. TheHive gives attachments whose name is
// taken another.
func (w *fileStep) postFile(calls context.Context, u fileForm, limit time.Duration) (madeFile, error) {
	upload := hive.Upload{Name: u.name, Size: u.size, Body: u.content, Timeout: limit}
	if w.a.options.Files.Attach {
		made, err := w.hive.AddAttachments(calls, w.c.ID, upload)
		if err != nil || len(made) != 1 {
			return madeFile{}, err
		}
		return madeFile{Attachment: made[0]}, nil
	}
	result, err := w.hive.AddFile(calls, w.c.ID, hive.NewObservable{DataType: typeFile, Message: u.message, Tags: u.tags, SightedAt: hive.Millis(u.at)}, upload)
	switch {
	case err != nil:
		return madeFile{}, err
	case len(result.Refused) > 0 && !result.Refused[0].Exists():
		return madeFile{}, refusedValue(result.Refused[0])
	case len(result.Refused) > 0:
		return madeFile{refusal: result.Refused[0].Message}, nil
	case len(result.Created) == 1 && result.Created[0].Attachment != nil:
		return madeFile{Attachment: *result.Created[0].Attachment}, nil
	default:
		return madeFile{}, nil
	}
}

// nameFile gives an observable that has the content under another name a tag with this one: TheHive
// knows a file by its content alone. It tells whether there is such an observable.
func (w *fileStep) nameFile(held context.Context, u fileForm) (bool, error) {
	i := slices.IndexFunc(w.files, func(l listedFile) bool { return !l.attached && l.id != "" && l.sha == u.sha })
	if i < 0 {
		return false, nil
	}
	calls, done := calling(held, w.claim)
	defer done()
	if err := w.hive.UpdateObservable(calls, w.files[i].id, hive.ObservableUpdate{AddTags: []string{nameTag(u.name)}}); err != nil {
		return true, err
	}
	w.files[i].names = append(w.files[i].names, nameTag(u.name))
	w.body.noteFile(nameHash(u.sha, nameTag(u.name)), u.item)
	w.posted(kindFile)
	return true, nil
}

func (w *fileStep) lookForFile(held context.Context, u fileForm, cause error) error {
	if !hive.Uncertain(cause) && !errors.Is(cause, enrich.ErrUnsettled) {
		return nil
	}
	w.a.happened(EventAmbiguous, w.c.Number, "add file")
	return w.look(held, cause, func() (bool, error) {
		err := w.list(held)
		return w.isThere(u), err
	})
}

// noteFile makes the entry say that TheHive lists a file, which stands for another, or for itself.
func (b *caseBody) noteFile(listed, item string) {
	if !slices.Contains(b.Files, listed) {
		b.Files = append(b.Files, listed)
	}
	if listed != item {
		b.standsFor(listed, item)
	}
}

// standsFor notes that what TheHive lists is another item in a form that it takes.
func (b *caseBody) standsFor(listed, item string) {
	if b.Stored == nil {
		b.Stored = map[string]string{}
	}
	b.Stored[listed] = item
}

// refuseBarred charges the files that their senders may not name.
func (w *fileStep) refuseBarred() {
	for i, p := range w.plans {
		for _, f := range p.Barred {
			w.a.happened(EventBarred, w.c.Number, enrich.Excerpt(f.Name))
			w.refuseFile(desiredFile{File: f, owners: []int{i}}, enrich.Refusal{Step: kindFile, Item: enrich.Excerpt(f.Name), Type: "FileError", Reason: p.WhyBarred(f)})
		}
	}
}
