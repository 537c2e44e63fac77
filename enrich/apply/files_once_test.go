package apply_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/enrich"
	"forager/enrich/claim/claimtest"
	"forager/enrich/detection"
	"forager/hive/hivetest"
)

// TestP3AFileIsThereOnceWhateverItsForm: what changes between two deliveries of one file.
func TestP3AFileIsThereOnceWhateverItsForm(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		first, then enrich.ZipPolicy
		password    string // of the second
		lose        bool   // the ledger
	}{
		"nothing":                           {enrich.ZipAlways, enrich.ZipAlways, "", false},
		"the ledger is lost":                {enrich.ZipAlways, enrich.ZipAlways, "", true},
		"on to off":                         {enrich.ZipAlways, enrich.ZipNever, "", false},
		"on to off, and the ledger is lost": {enrich.ZipAlways, enrich.ZipNever, "", true},
		"off to on":                         {enrich.ZipNever, enrich.ZipAlways, "", false},
		"off to on, and the ledger is lost": {enrich.ZipNever, enrich.ZipAlways, "", true},
		"the password":                      {enrich.ZipAlways, enrich.ZipAlways, "other", false},
	} {
		t.Run(name, func(t *testing.T) {
			inBothForms(t, func(t *testing.T, d fileDesk) {
				mustApply(t, d.carrier(""), zipped(t, c.first, 1, sample("a", 9)))
				before := d.files()
				if c.lose {
					d.ledger.Lose()
				}
				for i, id := range []string{"b", "c"} {
					mustApply(t, d.carrier(c.password), zipped(t, c.then, uint64(2+i), sample(id, 10+i)))
				}
				if diff := cmp.Diff(before, d.files()); diff != "" {
					t.Error(diff)
				}
				if m := d.recall(d.carrier(""), d.theCase("1").ID); len(m.Removed) != 0 || m.Files != 1 {
					t.Errorf("the ledger: %+v", m)
				}
			})
		})
	}
}

// TestATagTellsAnArchiveOfAnotherPassword: of observables, even without the ledger.
func TestATagTellsAnArchiveOfAnotherPassword(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		d := newFileDesk(t, false)
		mustApply(t, d.carrier("old"), zipped(t, enrich.ZipAlways, 1, sample("a", 9)))
		before := d.files()
		d.ledger.Lose()
		mustApply(t, d.carrier("new"), zipped(t, enrich.ZipAlways, 2, sample("b", 10)))
		if diff := cmp.Diff(before, d.files()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestP5ARemovedFileStaysAwayInEveryForm(t *testing.T) {
	t.Parallel()
	for _, told := range []bool{false, true} {
		for _, first := range []enrich.ZipPolicy{enrich.ZipAlways, enrich.ZipNever} {
			for _, then := range []enrich.ZipPolicy{enrich.ZipAlways, enrich.ZipNever} {
				name := string(first) + " then " + string(then)
				if told {
					name += ", told by the webhook"
				}
				t.Run(name, func(t *testing.T) {
					inBothForms(t, func(t *testing.T, d fileDesk) {
						e := d.carrier("")
						mustApply(t, e, zipped(t, first, 1, sample("a", 9)))
						d.removeFiles()
						if told {
							d.tell(e, 1)
						} else { // another file makes the worker look
							other := sample("x", 9)
							other.Files[0] = detection.File{Name: "other.txt", Data: []byte("other")}
							mustApply(t, e, zipped(t, then, 2, other))
						}
						for i, id := range []string{"b", "c"} {
							mustApply(t, d.carrier(""), zipped(t, then, uint64(3+i), sample(id, 10+i)))
						}
						for _, n := range d.names() {
							if strings.HasPrefix(n, "sample") && (!told || !d.attach) { // of attachments no document tells
								t.Errorf("%s is back", n)
							}
						}
					})
				})
			}
		}
	}
}

// TestARemovalConcernsOneCase: both the archive and the file that it holds are marked there, and nowhere else.
func TestARemovalConcernsOneCase(t *testing.T) {
	inBothForms(t, func(t *testing.T, d fileDesk) {
		e := d.carrier("")
		mustApply(t, e, zipped(t, enrich.ZipAlways, 1, sample("a", 9)))
		wait(t.Context(), time.Minute) // until lists surely show what was posted
		d.removeFiles()
		other := func(id string, hour int) detection.Detection {
			one := sample(id, hour)
			one.Files[0] = detection.File{Name: id + ".txt", Data: []byte(id)}
			return one
		}
		mustApply(t, e, zipped(t, enrich.ZipAlways, 2, other("x", 10)))
		if m := d.recall(e, d.theCase("1").ID); len(m.Removed) != 2 {
			t.Errorf("removed: %+v, want the archive and the file", m.Removed)
		}
		plans := zipped(t, enrich.ZipAlways, 3, sample("b", 11))
		plans[0].Hash, plans[0].Key.Value = strings.Repeat("0", 32), "elsewhere" // the same archive, in another case
		mustApply(t, e, plans)
		if got := len(d.hive.Snapshot().Cases); got != 2 {
			t.Errorf("%d cases", got)
		}
	})
}

func TestAnArchiveWhoseAnswerIsLostIsThereOnce(t *testing.T) {
	for _, policy := range []enrich.ZipPolicy{enrich.ZipAlways, enrich.ZipNever} {
		t.Run(string(policy), func(t *testing.T) {
			inBothForms(t, func(t *testing.T, d fileDesk) {
				e := d.carrier("")
				taken := sample("a", 9) // takes the names
				taken.Files = []detection.File{{Name: "sample.exe", Data: []byte("another")}}
				mustApply(t, e, zipped(t, policy, 1, taken))
				lost := 0
				route := "POST /api/v1/case/{id}/observable"
				if d.attach {
					route = "POST /api/v1/case/{id}/attachments"
				}
				d.hive.On(hivetest.AfterEffect, route, func(hivetest.Call) hivetest.Action {
					lost++
					return hivetest.Action{Cut: lost == 1}
				})
				next := sample("b", 10)
				next.Observables = nil
				mustApply(t, e, zipped(t, policy, 2, next))
				mustApply(t, d.carrier(""), zipped(t, policy, 3, sample("c", 11)))
				c := d.hive.Snapshot().Cases[0]
				if n := len(c.Files) + len(c.Observables) - 2; n != 2 || lost == 0 {
					t.Errorf("%d files, %d answers lost: %+v", n, lost, c)
				}
				if m := d.recall(e, d.theCase("1").ID); len(m.Removed) != 0 {
					t.Errorf("removed: %+v", m.Removed)
				}
			})
		})
	}
}

// TestATakeoverInTheMiddleOfAnUploadAddsNothingTwice: the first worker ends when TheHive has the
// archive, and before it knows.
func TestATakeoverInTheMiddleOfAnUploadAddsNothingTwice(t *testing.T) {
	inBothForms(t, func(t *testing.T, d fileDesk) {
		ctx, kill := context.WithCancelCause(t.Context())
		defer kill(nil)
		var dead atomic.Bool
		d.ledger.SetBefore(func(claimtest.Op) error {
			if dead.Load() {
				return errKilled
			}
			return nil
		})
		for _, route := range []string{"POST /api/v1/case/{id}/observable", "POST /api/v1/case/{id}/attachments"} {
			d.hive.On(hivetest.AfterEffect, route, func(hivetest.Call) hivetest.Action {
				c := d.hive.Snapshot().Cases[0]
				done := len(c.Files) > 0 || slices.ContainsFunc(c.Observables, func(o hivetest.Observable) bool { return o.File.Name != "" })
				if done && ctx.Err() == nil {
					kill(errKilled)
					dead.Store(true)
					d.hive.Set(hivetest.Misbehaviour{Outage: true})
					return hivetest.Action{Cut: true}
				}
				return hivetest.Action{}
			})
		}
		plans := zipped(t, enrich.ZipAlways, 1, sample("a", 9))
		if errs := d.carrier("").Apply(ctx, enrich.BatchOf(plans...)); errs[0] == nil {
			t.Fatal("the first worker was not killed")
		}
		dead.Store(false)
		d.hive.Set(hivetest.Misbehaviour{})
		mustApply(t, d.carrier(""), plans)
		if got := d.names(); !slices.Equal(got, []string{"sample.exe.zip"}) {
			t.Errorf("files %v", got)
		}
	})
}

func TestAttachmentsOfOneNameAreKnownByTheirNumber(t *testing.T) {
	for _, lose := range []bool{false, true} {
		name := map[bool]string{false: "by the ledger", true: "by listing"}[lose]
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				d := newFileDesk(t, true)
				one := sample("a", 9)
				one.Files = append(one.Files, detection.File{Name: "sample.exe", Data: []byte("another")})
				for i, id := range []string{"a", "b", "c"} {
					one.ID = id
					mustApply(t, d.carrier(""), zipped(t, enrich.ZipAlways, uint64(i+1), one))
					if lose {
						d.ledger.Lose()
					}
				}
				if got := d.names(); !slices.Equal(got, []string{"sample.exe (1).zip", "sample.exe.zip"}) {
					t.Errorf("files %v", got)
				}
			})
		})
	}
}
