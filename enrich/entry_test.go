package enrich_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"forager/enrich"
)

func TestFieldsOfALaterVersionSurviveBeingWritten(t *testing.T) {
	t.Parallel()
	in := `{"later":{"b":[1,2]},"v":1,"tags":["a"],"epoch":7,"more":"x,\"y\":1","dirty":true}`
	out, err := enrich.Rewrite([]byte(in), "b")
	if err != nil {
		t.Fatal(err)
	}
	var got, want map[string]any
	if err := json.Unmarshal(out, &got); err != nil {
		t.Fatalf("%v in %s", err, out)
	}
	for _, empty := range []string{"procedures", "observables", "comments", "high"} {
		delete(got, empty)
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
	if out, err := enrich.Rewrite([]byte(`{"v":2,"tags":["a"]}`), "b"); err == nil {
		t.Errorf("wrote %s", out)
	}
}

func TestTheKnownFieldsAreThoseOfTheTypes(t *testing.T) {
	t.Parallel()
	known, typed := enrich.EntryFields()
	slices.Sort(known)
	slices.Sort(typed)
	if diff := cmp.Diff(typed, known); diff != "" {
		t.Errorf("a field that is not known is written twice (-types +known):\n%s", diff)
	}
}
