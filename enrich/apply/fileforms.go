package apply

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"regexp"
	"slices"
	"strings"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/enrich/files"
	"forager/hive"
)

// A file is known by its content and name, whatever form it has in TheHive: itself, an archive of
// it, under a name with a number. The entry lists what TheHive lists, and says of forms what they
// stand for; where it does not, since it was lost, they are told by their tag or their digest.

func fileHash(sha, name string) string { return itemHash("file", sha, name) }

// fileForm is a form of a file, ready to be uploaded or recognised.
type fileForm struct {
	content io.ReadSeeker
	item    string // the file that it stands for
	inside  string // SHA-256 of that file's content
	sha     string // SHA-256 of this form
	name    string
	size    int64
	at      int64  // when it was seen, ms
	message string // of the observable
	tags    []string
}

// listedFile is a file as TheHive lists it.
type listedFile struct {
	hash, sha, name string
	inside          string   // what its tag says of the content of an archive, SHA-256; empty is nothing
	attached        bool     // to the case: its name may have got a number
	id              string   // of the observable
	names           []string // tags that give it further names
}

// tagName begins the tag that gives a file a second name: TheHive knows it by its content alone.
const tagName = "name:"

// nameTag is the tag for a further name of a file.
func nameTag(name string) string { return hive.Truncate(tagName+name, hive.MaxTag) }

// nameHash is how the entry lists a further name of a file.
func nameHash(sha, tag string) string { return itemHash("file name", sha, tag) }

// tagContent begins the tag that names an archive's content.
const tagContent = "sha256:"

// plainFile is a file as it is.
func plainFile(f desiredFile, s *files.File) fileForm {
	return fileForm{content: s, item: fileHash(s.SHA256(), f.Name), inside: s.SHA256(), sha: s.SHA256(), name: f.Name, size: s.Bytes(), at: f.at}
}

// zippedFile is a file in an archive. Analysts find it by the digest of its content, and are told
// how to open it. It is no indicator: nobody else will ever see the digest of the archive.
func (w *fileStep) zippedFile(f desiredFile, s *files.File) (fileForm, error) {
	a, err := files.NewArchive(s, f.Name, w.a.options.Files.ZipPassword)
	if err != nil {
		return fileForm{}, err
	}
	return fileForm{
		content: a, item: fileHash(s.SHA256(), f.Name), inside: s.SHA256(), sha: a.SHA256(), name: files.ArchiveName(f.Name), size: a.Bytes(), at: f.at,
		message: "ZIP with the password `" + w.a.options.Files.ZipPassword + "`. SHA-256 of the file in it: `" + s.SHA256() + "`",
		tags:    []string{tagContent + s.SHA256()},
	}, nil
}

// choose gives the form in which a file is uploaded; nil when the case has another. The archive is
// made, too, where only it shows whether the case has it: the policy may have changed.
func (w *fileStep) choose(held context.Context, f desiredFile, s *files.File) (*fileForm, error) {
	plain := plainFile(f, s)
	if w.isThere(plain) {
		return nil, nil
	}
	maybe := w.maybeZipped(f.Name)
	if !maybe && !slices.ContainsFunc(f.owners, func(o int) bool { return w.plans[o].Archives() }) {
		return &plain, nil
	}
	w.slot.Leave() // reading it again takes a while
	zip, err := w.zips(f, s)
	if err != nil {
		return nil, err
	}
	if !zip && !maybe {
		return &plain, w.takeSlot(held)
	}
	zipped, err := w.zippedFile(f, s)
	_, impossible := errors.AsType[*files.BadFileError](err)
	switch {
	case impossible && !zip:
		return &plain, w.takeSlot(held)
	case err != nil:
		return nil, err
	case w.isThere(zipped):
		return nil, w.takeSlot(held)
	case zip:
		return &zipped, w.takeSlot(held)
	default:
		return &plain, w.takeSlot(held)
	}
}

// zips tells whether one of those who brought a file wants it in an archive.
func (w *fileStep) zips(f desiredFile, s *files.File) (bool, error) {
	has := func(digests []string) (bool, error) {
		if slices.Contains(digests, s.SHA256()) {
			return true, nil
		}
		if _, err := s.Seek(0, io.SeekStart); err != nil {
			return false, err
		}
		return files.HasDigest(s, digests)
	}
	for _, o := range f.owners {
		if zip, err := w.plans[o].Zips(f.Name, has); zip || err != nil {
			return zip, err
		}
	}
	return false, nil
}

// maybeZipped tells that the case has an archive that by its name may be of a file, or had files
// that somebody removed.
func (w *fileStep) maybeZipped(name string) bool {
	for item := range w.marks.removed {
		if item[0] == kindFile {
			return true
		}
	}
	return slices.ContainsFunc(w.files, func(l listedFile) bool { return l.isNamed(files.ArchiveName(name)) })
}

// hasFile tells whether the entry lists a file in any form, or whether it was removed.
func (w *fileStep) hasFile(item string) bool {
	return slices.Contains(w.body.meant(w.body.Files), item) || w.marks.has(kindFile, item)
}

// isThere tells whether a form of a file is there, or was removed; the entry then knows what it
// stands for.
func (w *fileStep) isThere(u fileForm) bool {
	for _, l := range w.files {
		if l.sha != u.sha && l.inside != u.inside {
			continue
		}
		if l.isNamed(u.name) {
			w.body.noteFile(l.hash, u.item)
			return true
		}
		if slices.Contains(l.names, nameTag(u.name)) {
			w.body.noteFile(nameHash(l.sha, nameTag(u.name)), u.item)
			return true
		}
	}
	return w.hasFile(u.item) || w.marks.has(kindFile, fileHash(u.sha, u.name))
}

// numbered is what TheHive puts before the ending of an attachment's name that is taken.
var numbered = regexp.MustCompile(`^ ?\([0-9]+\)$`)

// isNamed tells that a file was uploaded under a name. The content is compared besides.
func (l listedFile) isNamed(name string) bool {
	if l.name == name || !l.attached {
		return l.name == name
	}
	ending := path.Ext(name)
	more, begins := strings.CutPrefix(l.name, strings.TrimSuffix(name, ending))
	more, ends := strings.CutSuffix(more, ending)
	return begins && ends && numbered.MatchString(more)
}

// meant adds to files as TheHive lists them those that they stand for.
func (b *caseBody) meant(listed []string) []string {
	all := slices.Clone(listed)
	for _, l := range listed {
		if item, ok := b.Stored[l]; ok {
			all = append(all, item)
		}
	}
	return all
}

// removedFile gives the items that go with a file that TheHive lists no more: not what is there in
// another form.
func (b *caseBody) removedFile(hash string) [][2]string {
	if !slices.Contains(b.Files, hash) {
		return nil
	}
	left := b.meant(subtract(b.Files, []string{hash}))
	var items [][2]string
	for _, gone := range subtract(b.meant([]string{hash}), left) {
		items = append(items, [2]string{kindFile, gone})
	}
	return items
}

// list makes the entry hold the files that are in the case, in either form.
func (w *fileStep) list(held context.Context) error {
	calls, done := calling(held, w.claim)
	defer done()
	var files []listedFile
	for o, err := range w.hive.CaseObservables(calls, w.c.ID) {
		if err != nil {
			return err
		}
		if a := o.Attachment; a != nil {
			files = append(files, listedFile{
				hash: fileHash(a.ContentID, a.Name), sha: a.ContentID, name: a.Name, inside: contentOf(o.Tags), id: o.ID, names: namesOf(o.Tags),
			})
		}
	}
	for a, err := range w.hive.CaseAttachments(calls, w.c.ID) {
		if err != nil {
			return err
		}
		files = append(files, listedFile{hash: fileHash(a.ContentID, a.Name), sha: a.ContentID, name: a.Name, attached: true})
	}
	var there []string
	for _, l := range files {
		there = append(there, l.hash)
		for _, tag := range l.names {
			there = append(there, nameHash(l.sha, tag))
		}
	}
	if w.lags(kindFile) {
		there = append(there, subtract(w.body.Files, there)...)
	}
	back := w.body.meant(there)
	gone := subtract(w.body.meant(subtract(w.body.Files, there)), back)
	if err := w.noticed(held, kindFile, gone, back); err != nil {
		return err
	}
	w.body.Files, w.files = there, files
	w.listed[kindFile] = true
	return nil
}

// namesOf gives the tags that are further names.
func namesOf(tags []string) (names []string) {
	for _, t := range tags {
		if strings.HasPrefix(t, tagName) {
			names = append(names, t)
		}
	}
	return names
}

// contentOf is what tags say of the content of an archive.
func contentOf(tags []string) string {
	for _, t := range tags {
		if sha, ok := strings.CutPrefix(t, tagContent); ok {
			return sha
		}
	}
	return ""
}

// spool copies a file to disk, outside the apply slots, and checks size and digest before a byte
// of it goes to TheHive. Whoever has it releases it.
func (w *fileStep) spool(held context.Context, f detection.File) (s *files.File, err error) {
	c, err := w.content(held, f)
	if err != nil {
		return nil, missing(f, fmt.Errorf("open file: %w", err))
	}
	if most := w.a.options.Files.MaxBytes; c.Size > most {
		return nil, &files.BadFileError{Reason: fmt.Sprintf("%d bytes, at most %d are allowed", c.Size, most)}
	}
	w.slot.Leave()
	all, err := w.a.spools.Hold(held, c)
	if err != nil {
		return nil, missing(f, err)
	}
	defer func() {
		if s == nil {
			all.Release()
		}
	}()
	if err := checkDigest(all, f); err != nil {
		return nil, err
	}
	if err := w.takeSlot(held); err != nil {
		return nil, err
	}
	return all, nil
}

// missing tells an object that does not exist from what may pass.
func missing(f detection.File, err error) error {
	if errors.Is(err, files.ErrNoObject) {
		return &files.BadFileError{Reason: "object " + enrich.Excerpt(f.Object) + " does not exist"}
	}
	return err
}

// content says where a file's bytes are to be had, and what they share a copy with.
func (w *fileStep) content(held context.Context, f detection.File) (files.Content, error) {
	if f.Object == "" {
		open := func(context.Context) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(f.Data)), nil }
		return files.Content{Name: "data " + cmp.Or(contentSum(f.Data), "none"), Size: int64(len(f.Data)), Open: open}, nil
	}
	if w.a.options.Opener == nil {
		return files.Content{}, files.ErrNoObject
	}
	o, err := w.a.options.Opener.Find(held, f.Object)
	return files.Content{Name: "object " + f.Object + " " + o.Version, Size: o.Size, Open: o.Open}, err
}

// checkDigest tells whether a file is the one that the detection means. Error: *files.BadFileError.
func checkDigest(s *files.File, f detection.File) error {
	if f.SHA256 != "" && f.SHA256 != s.SHA256() {
		return &files.BadFileError{Reason: "SHA-256 is " + s.SHA256() + ", the detection says " + enrich.Excerpt(f.SHA256)}
	}
	return nil
}
