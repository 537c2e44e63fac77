package claim_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/enrich/claim"
	"forager/enrich/claim/claimtest"
)

func TestFieldsOfALaterVersionSurviveBeingWritten(t *testing.T) {
	t.Parallel()
	in := `{"later":{"b":[1,2]},"v":1,"tags":["a"],"epoch":7,"more":"x,\"y\":1","dirty":true,"done":true}`
	out, err := claim.Rewrite([]byte(in), []string{"tags", "done"}, map[string]any{"tags": []string{"a", "b"}})
	if err != nil {
		t.Fatal(err)
	}
	var got, want map[string]any
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	text := `{"later":{"b":[1,2]},"v":1,"tags":["a","b"],"epoch":7,"more":"x,\"y\":1","dirty":true}`
	if err := json.Unmarshal([]byte(text), &want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEntriesOfALaterVersionAreNotTouched(t *testing.T) {
	t.Parallel()
	if out, err := claim.Rewrite([]byte(`{"v":3,"tags":["a"]}`), []string{"tags"}, nil); !errors.Is(err, claim.ErrNewer) {
		t.Errorf("wrote %s, error %v", out, err)
	}
}

// TestAnEntryThatCannotBeReadIsNeverClaimed, and is no fault of the store.
func TestAnEntryThatCannotBeReadIsNeverClaimed(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		value string
		want  error
	}{
		"no JSON":       {`{"v":1,`, claim.ErrUnreadable},
		"no object":     {`[1,2]`, claim.ErrUnreadable},
		"empty":         {``, claim.ErrUnreadable},
		"newer":         {`{"v":99,"done":true}`, claim.ErrNewer},
		"head of texts": {`{"v":"1","lease":"x"}`, claim.ErrUnreadable},
		"deep":          {strings.Repeat(`{"v":`, 20_000), claim.ErrUnreadable},
		"large":         {`{"v":1,"x":"` + strings.Repeat("y", 5<<20) + `"}`, claim.ErrUnreadable},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := claimtest.New()
				if _, err := store.Put(t.Context(), "key.a", []byte(c.value), 0); err != nil {
					t.Fatal(err)
				}
				_, err := newClaims(store).Acquire(t.Context(), "key.a", []string{claim.AnyKind}, func() { t.Error("waits for it") })
				if !errors.Is(err, c.want) || errors.Is(err, claim.ErrUnreachable) {
					t.Errorf("error %v, want %v", err, c.want)
				}
				if _, err := claim.ParseEntry([]byte(c.value)); !errors.Is(err, c.want) {
					t.Errorf("read: error %v, want %v", err, c.want)
				}
				if got, _, err := store.Get(t.Context(), "key.a"); string(got) != c.value {
					t.Errorf("written over, error %v", err)
				}
			})
		})
	}
}

// TestABodyOfOtherTypesIsFoundOutWhenItIsRead: the claim can be released, and the body is as it was.
func TestABodyOfOtherTypesIsFoundOutWhenItIsRead(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := claimtest.New()
		if _, err := store.Put(t.Context(), "key.a", []byte(`{"v":1,"done":7}`), 0); err != nil {
			t.Fatal(err)
		}
		cl := acquire(t, newClaims(store), "key.a")
		var body struct{ Done string }
		if err := cl.Read(&body); err == nil {
			t.Errorf("read %q", body.Done)
		}
		release(t, cl, nil, false)
		if got, _, err := store.Get(t.Context(), "key.a"); !strings.Contains(string(got), `"done":7`) {
			t.Errorf("the entry is %s, error %v", got, err)
		}
	})
}

// TestNumbersOfAnEntryAreBounded: a lease or settle of years holds nobody for longer than the
// configuration allows, and none of a moment takes what is held.
func TestNumbersOfAnEntryAreBounded(t *testing.T) {
	t.Parallel()
	for _, number := range []string{"9223372036854775807", "9223372036854776", "-1", "0", "31536000000000", "31536000000", "1"} {
		for _, head := range []string{`"token":"x","lease":%s,"settle":1000`, `"dirty":true,"lease":1000,"settle":%s`, `"token":"x","lease":%[1]s,"settle":%[1]s`} {
			t.Run(number, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store := claimtest.New()
					value := fmt.Sprintf(`{"v":1,"epoch":3,`+head+`}`, number)
					if _, err := store.Put(t.Context(), "key.a", []byte(value), 0); err != nil {
						t.Fatal(err)
					}
					began := time.Now()
					cl := acquire(t, newClaims(store), "key.a")
					took := time.Since(began)
					if took > 61*time.Minute || cl.Owed() > time.Hour || cl.Owed() < settle {
						t.Errorf("acquired after %v, owed %v", took, cl.Owed())
					}
					if held := strings.Contains(head, "token"); held && took < 10*time.Second {
						t.Errorf("taken from its holder after %v", took)
					}
					release(t, cl, nil, true)
				})
			})
		}
	}
}

// TestWhatAnEntryTellsWhoReadsIt, without claiming it.
func TestWhatAnEntryTellsWhoReadsIt(t *testing.T) {
	t.Parallel()
	for value, want := range map[string][3]bool{ // held, abandoned, dirty
		`{"v":1}`:                          {false, false, false},
		`{"v":1,"token":"x"}`:              {true, false, true},
		`{"v":1,"dirty":true}`:             {false, true, true},
		`{"v":1,"token":"x","dirty":true}`: {true, true, true},
	} {
		e, err := claim.ParseEntry([]byte(value))
		if got := [3]bool{e.Held(), e.Abandoned(), e.Dirty()}; err != nil || got != want {
			t.Errorf("%s: held, abandoned, dirty: %v, error %v; want %v", value, got, err, want)
		}
	}
}
