package claim_test

import (
	"encoding/json"
	"errors"
	"testing"

	"github.com/google/go-cmp/cmp"

	"forager/enrich/claim"
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
	if out, err := claim.Rewrite([]byte(`{"v":2,"tags":["a"]}`), []string{"tags"}, nil); !errors.Is(err, claim.ErrNewer) {
		t.Errorf("wrote %s, error %v", out, err)
	}
}
