package apply_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/enrich/files"
	"forager/enrich/files/filestest"
	"forager/hive"
	"forager/hive/hivetest"
)

const malware = "what no scanner should see"

// fileDesk is a site where files are carried in some form, and its analyst.
type fileDesk struct {
	desk
	attach bool
}

func newFileDesk(t *testing.T, attach bool) fileDesk { return fileDesk{newAuditDesk(t), attach} }

func (d fileDesk) carrier(password string) *apply.Applier {
	return d.learner(func(o *apply.Options) {
		o.Files = apply.FilePolicy{Attach: d.attach, Spool: d.t.TempDir(), ZipPassword: password}
		o.Opener = shelf{"evidence/sample": []byte(malware)}
	})
}

// zipped makes plans of a policy for archives.
func zipped(t *testing.T, policy enrich.ZipPolicy, first uint64, all ...detection.Detection) []enrich.Plan {
	plans := plan(t, first, all...)
	for i := range plans {
		plans[i].Zip = policy
	}
	return plans
}

// sample is a detection that carries the malware.
func sample(id string, hour int) detection.Detection {
	d := seen("web01", id, day(hour))
	d.Files = []detection.File{{Name: "sample.exe", Data: []byte(malware)}}
	return d
}

// files are the files of the only case, in either form, by name.
func (d fileDesk) files() map[string]string {
	d.t.Helper()
	cases := d.hive.Snapshot().Cases
	if len(cases) != 1 {
		d.t.Fatalf("%d cases", len(cases))
	}
	files, n := map[string]string{}, 0
	for _, f := range cases[0].Files {
		files[f.Name], n = f.SHA256, n+1
	}
	for _, o := range cases[0].Observables {
		if o.File.Name != "" {
			files[o.File.Name], n = o.File.SHA256, n+1
		}
	}
	if n != len(files) {
		d.t.Errorf("%d files under %d names: %+v", n, len(files), cases[0])
	}
	return files
}

func (d fileDesk) names() []string { return slices.Sorted(maps.Keys(d.files())) }

// removeFiles removes every file, as the analyst.
func (d fileDesk) removeFiles() {
	d.t.Helper()
	c := d.theCase("1")
	for o, err := range d.analyst.CaseObservables(d.t.Context(), c.ID) {
		d.must(err)
		if o.Attachment != nil {
			d.must(d.analyst.DeleteObservable(d.t.Context(), o.ID))
		}
	}
	for a, err := range d.analyst.CaseAttachments(d.t.Context(), c.ID) {
		d.must(err)
		d.must(d.analyst.DeleteAttachment(d.t.Context(), c.ID, a.ID))
	}
}

// inBothForms runs a test with files as observables and as attachments.
func inBothForms(t *testing.T, test func(*testing.T, fileDesk)) {
	t.Parallel()
	for name, attach := range map[string]bool{"as observables": false, "as attachments": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { test(t, newFileDesk(t, attach)) })
		})
	}
}

func TestThePolicyDecidesWhatGoesIntoAnArchive(t *testing.T) {
	t.Parallel()
	sum := md5.Sum([]byte(malware))
	mark := func(ioc bool, dataType, data string) func(*detection.Detection) {
		return func(d *detection.Detection) {
			d.Observables = append(d.Observables, detection.Observable{DataType: dataType, Data: data, IOC: ioc})
		}
	}
	byObject := func(d *detection.Detection) { d.Files[0].Data, d.Files[0].Object = nil, "evidence/sample" }
	for name, c := range map[string]struct {
		policy enrich.ZipPolicy
		change []func(*detection.Detection)
		zipped bool
		step   string
	}{
		"none":                        {"", nil, false, "file sample.exe"},
		"never":                       {enrich.ZipNever, []func(*detection.Detection){mark(true, "filename", "sample.exe")}, false, "file sample.exe"},
		"always":                      {enrich.ZipAlways, nil, true, "file sample.exe, in a ZIP with a password"},
		"malicious, by its SHA-256":   {enrich.ZipMalicious, []func(*detection.Detection){mark(true, "hash", shaOf([]byte(malware)))}, true, "file sample.exe, in a ZIP with a password"},
		"malicious, by its MD5":       {enrich.ZipMalicious, []func(*detection.Detection){mark(true, "hash", strings.ToUpper(hex.EncodeToString(sum[:])))}, true, "file sample.exe, in a ZIP with a password"},
		"malicious, by its name":      {enrich.ZipMalicious, []func(*detection.Detection){mark(true, "filename", `C:\Temp\Sample.exe`)}, true, "file sample.exe, in a ZIP with a password"},
		"of an object, by its digest": {enrich.ZipMalicious, []func(*detection.Detection){byObject, mark(true, "hash", hex.EncodeToString(sum[:]))}, true, "file sample.exe, in a ZIP with a password if an indicator is its digest"},
		"a digest, no indicator":      {enrich.ZipMalicious, []func(*detection.Detection){mark(false, "hash", shaOf([]byte(malware)))}, false, "file sample.exe"},
		"another file is malicious":   {enrich.ZipMalicious, []func(*detection.Detection){mark(true, "hash", shaOf([]byte("other"))), mark(true, "filename", "other.exe")}, false, "file sample.exe"},
		"an indicator of no digest":   {enrich.ZipMalicious, []func(*detection.Detection){mark(true, "hash", "ssdeep:3:a:b"), mark(true, "ip", "198.51.100.9")}, false, "file sample.exe"},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d := newFileDesk(t, false)
				one := sample("a", 9)
				for _, f := range c.change {
					f(&one)
				}
				plans := zipped(t, c.policy, 1, one)
				mustApply(t, d.carrier(""), plans)
				want := "sample.exe"
				if c.zipped {
					want += ".zip"
				}
				if got := d.names(); !slices.Equal(got, []string{want}) {
					t.Errorf("files %v, want %s", got, want)
				}
				if steps := plans[0].Steps(); !slices.Contains(steps, c.step) {
					t.Errorf("explained as %q, want %q", steps, c.step)
				}
			})
		})
	}
}

// TestAnArchiveSaysWhatItIs: analysts find it by the digest of what is inside, and can open it.
func TestAnArchiveSaysWhatItIs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newFileDesk(t, false)
		mustApply(t, d.carrier("malware"), zipped(t, enrich.ZipAlways, 1, sample("a", 9)))
		c := d.theCase("1")
		for o, err := range d.analyst.CaseObservables(t.Context(), c.ID) {
			d.must(err)
			if o.Attachment == nil {
				continue
			}
			sha := shaOf([]byte(malware))
			if want := "ZIP with the password `malware`. SHA-256 of the file in it: `" + sha + "`"; o.Message != want || !slices.Equal(o.Tags, []string{"sha256:" + sha}) || o.IOC {
				t.Errorf("%q, tags %q, indicator %v", o.Message, o.Tags, o.IOC)
			}
			body, err := d.analyst.DownloadObservable(t.Context(), o.ID, o.Attachment.ID)
			d.must(err)
			defer body.Close()
			archive, err := io.ReadAll(body)
			d.must(err)
			if name, content, err := filestest.Unpack(archive, "malware"); err != nil || name != "sample.exe" || string(content) != malware {
				t.Errorf("%q %q %v", name, content, err)
			}
		}
	})
}

// packed is the archive of a content.
func packed(t *testing.T, content []byte, name, password string) []byte {
	t.Helper()
	f, err := files.NewSpool(t.TempDir(), 1<<20).Hold(t.Context(), files.Content{Name: "x", Size: int64(len(content)), Open: func(context.Context) (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	defer f.Release()
	a, err := files.NewArchive(f, name, password)
	if err != nil {
		t.Fatal(err)
	}
	all, err := io.ReadAll(a)
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// TestTheHiveUnpacksAnArchive: an analyst who uploads it as a ZIP with its password gets the file;
// the simulator reads ZIPs by code of its own.
func TestTheHiveUnpacksAnArchive(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newFileDesk(t, false)
		mustApply(t, d.carrier(""), plan(t, 1, seen("web01", "a", day(9))))
		archive := packed(t, []byte(malware), "sample.exe", "infected")
		_, err := d.analyst.AddFile(t.Context(), d.theCase("1").ID, hive.NewObservable{DataType: "file"}, hive.Upload{
			Name: "sample.exe.zip", Body: bytes.NewReader(archive), Zip: true, ZipPassword: "infected",
		})
		d.must(err)
		if diff := cmp.Diff(map[string]string{"sample.exe": shaOf([]byte(malware))}, d.files()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestAnArchiveThatCannotBeCostsOnlyItself(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"../../etc/passwd", "a\x00b", "\xff", strings.Repeat("x", 300)} {
		synctest.Test(t, func(t *testing.T) {
			d := newFileDesk(t, false)
			one := sample("a", 9)
			one.Files = append(one.Files, detection.File{Name: "good.txt", Data: []byte("fine")})
			one.Files[0].Name = name
			plans := zipped(t, enrich.ZipAlways, 1, one)
			errs := d.carrier("").Apply(t.Context(), enrich.BatchOf(plans...))
			var rejected *enrich.RejectedError
			if !errors.As(errs[0], &rejected) || rejected.Items[0].Step != "file" {
				t.Errorf("%q: %v", name, errs)
			}
			if got := d.names(); !slices.Equal(got, []string{"good.txt.zip"}) {
				t.Errorf("%q: files %v", name, got)
			}
		})
	}
}

func TestAPasswordThatNobodyCouldTypeIsRefused(t *testing.T) {
	t.Parallel()
	s := newSite(t, hivetest.Options{})
	c := s.client(t)
	for _, password := range []string{" ", "open sesame", "pässword", "a`b", "a\n", strings.Repeat("x", 65)} {
		_, err := apply.New(apply.Options{
			Hive: func(string) apply.Hive { return c }, Ledger: s.ledger, Files: apply.FilePolicy{ZipPassword: password},
		})
		if err == nil || strings.Contains(err.Error(), strconv.Quote(password)) || len(password) > 3 && strings.Contains(err.Error(), password) {
			t.Errorf("%q: %v", password, err)
		}
	}
}

// TestNamesOfFilesAreAsLongAsTheHiveTakes: the archive must keep to the limit without knowing TheHive.
func TestNamesOfFilesAreAsLongAsTheHiveTakes(t *testing.T) {
	t.Parallel()
	if files.MaxName != hive.MaxFileName {
		t.Errorf("an archive's name may have %d bytes, TheHive takes %d", files.MaxName, hive.MaxFileName)
	}
}
