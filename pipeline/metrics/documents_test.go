package metrics

import (
	"slices"
	"testing"
)

func TestWhatIsBesideTheMessagesIsCountedFromZero(t *testing.T) {
	m, r := newTestMetrics(t)
	before := len(gatheredNames(t, r))
	for _, word := range documentWords {
		m.Received(word)
	}
	for _, word := range learntWords {
		m.Learnt(word)
	}
	m.SpansLost(3, LostQueue)
	m.DocumentsPending(4)
	got := counted(t, r)
	if len(got) != len(documentWords)+len(learntWords)+2 || got["spans_lost_total{reason=queue full}"] != 3 || got["webhook_pending{}"] != 4 {
		t.Errorf("%v", got)
	}
	if after := len(gatheredNames(t, r)); after != before {
		t.Errorf("%d metrics before the first document, %d after", before, after)
	}
	for prefix, known := range map[string][]string{"Document": documentWords, "Learnt": learntWords} {
		for _, word := range constants(t, "documents.go", prefix) {
			if !slices.Contains(known, word) {
				t.Errorf("not shown before it happens: %q", word)
			}
		}
	}
	for _, word := range constants(t, "../../enrich/apply/audit.go", "Audit") {
		if !slices.Contains(learntWords, word) {
			t.Errorf("not shown before it happens: %q", word)
		}
	}
}
