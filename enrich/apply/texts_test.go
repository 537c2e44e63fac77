package apply

import "testing"

// TestTheNewestDetectionIsReadOfComments as they are written, and as earlier versions wrote them, with three zeros.
func TestTheNewestDetectionIsReadOfComments(t *testing.T) {
	for text, want := range map[string]int64{
		"at least 2 detections, first seen 2026-03-02 08:12:44 UTC, last seen 2026-03-02 08:12:45 UTC\n\nx":         1772439165000,
		"at least 2 detections, first seen 2026-03-02 08:12:44.000 UTC, last seen 2026-03-02 08:12:45.000 UTC\n\nx": 1772439165000,
		"1 detection, first seen 2026-03-02 08:12:45.120 UTC, last seen 2026-03-02 08:12:45.120 UTC":                1772439165120,
		"1 detection, first seen once, last seen yesterday":                                                         0,
		"nothing": 0,
	} {
		if got := lastSeenIn(text); got != want {
			t.Errorf("%q: %d, want %d", text, got, want)
		}
	}
}
