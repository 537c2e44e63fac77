package pipeline

import (
	"slices"
	"testing"
)

// TestNotesSayHowManyReplicasLive, once that is known.
func TestNotesSayHowManyReplicasLive(t *testing.T) {
	known := false
	r := newRig(t, func(o *Options) { o.Replicas = func() (int, bool) { return 3, known } })
	w, err := New(r.link, r.options, decoding{}, planning{}, r.applier)
	must(t, err)
	if notes := w.Notes(); len(notes) != 0 {
		t.Errorf("before it is known: %q", notes)
	}
	known = true
	if notes := w.Notes(); !slices.Contains(notes, "replicas that live: 3") {
		t.Errorf("%q", notes)
	}
}
