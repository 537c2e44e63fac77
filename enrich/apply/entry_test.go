package apply_test

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"forager/enrich/apply"
)

func TestTheKnownFieldsAreThoseOfTheTypes(t *testing.T) {
	t.Parallel()
	known, typed := apply.EntryFields()
	slices.Sort(known)
	slices.Sort(typed)
	if diff := cmp.Diff(typed, known); diff != "" {
		t.Errorf("a field that is not known is written twice (-types +known):\n%s", diff)
	}
}
