package detection

import (
	"encoding/json"
	"slices"
	"testing"
	"time"

	"forager/enrich/detection/canon"
)

// only decodes a message of one detection.
func only(t *testing.T, body string) Detection {
	t.Helper()
	r, err := mustNew(t, Options{}).Decode(Message{Body: []byte(body), Time: now})
	if err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	if len(r.Detections) != 1 {
		t.Fatalf("%s: %d detections, dropped %v, unreadable %v", body, len(r.Detections), r.Dropped, r.Unreadable)
	}
	return r.Detections[0]
}

// ownForm is an event of the native form with one more member.
func ownForm(t *testing.T, name string, value any) string {
	t.Helper()
	e := map[string]any{"schema": "forager.detection/v1", "id": "1", "title": "x", "time": "2026-03-02T10:00:00Z", "host": "h", name: value}
	body, err := json.Marshal(e)
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// TestABrokenByteHidesNoDetection puts bytes that are no UTF-8 where a sender may have them.
func TestABrokenByteHidesNoDetection(t *testing.T) {
	for name, bytes := range map[string]string{"latin 1": "M\xfcller", "overlong": "a\xc0\xafb", "surrogate": "a\xed\xa0\x80b", "cut short": "a\xe2\x82", "many": "\xff\xfe\xfd"} {
		d := only(t, `{"schema":"forager.detection/v1","id":"1","title":"`+bytes+`","time":"2026-03-02T10:00:00Z","host":"dc01","severity":4,"techniques":["T1003.006"]}`)
		if d.Host != "dc01" || len(d.Techniques) != 1 || !slices.Contains(d.Marks, MarkInvalidUTF8) {
			t.Errorf("%s: %+v", name, d)
		}
	}
	r, err := mustNew(t, Options{}).Decode(Message{Body: []byte(ownForm(t, "id", "a") + "\n" + `{"schema":"forager.detection/v1","id":"b","title":"` + "\xff" + `","host":"h"}`), Time: now})
	if err != nil || len(r.Detections) != 2 || len(r.Detections[0].Marks) != 0 || !slices.Equal(r.Detections[1].Marks, []string{MarkInvalidUTF8}) {
		t.Errorf("of two, the one that has the byte is marked: %+v %v", r.Detections, err)
	}
	if d := only(t, `{"schema":"forager.detection/v1","id":"1","title":"M\ufffdller","host":"h","time":"2026-03-02T10:00:00Z"}`); len(d.Marks) != 0 {
		t.Errorf("what the sender wrote itself is marked: %v", d.Marks)
	}
}

// TestTimesOfEverySize reads what other systems count in, to the millisecond. Expected values are those
// of the systems' own documentation, or computed from their epochs.
func TestTimesOfEverySize(t *testing.T) {
	for s, want := range map[string]string{
		"1746093600.123": "2025-05-01T10:00:00.123Z", "1746093600.999999": "2025-05-01T10:00:00.999999Z", "1746093600,5": "2025-05-01T10:00:00.5Z",
		"1746093600123.5": "2025-05-01T10:00:00.1235Z", "1746093600.001": "2025-05-01T10:00:00.001Z", "1.7460936001e+09": "2025-05-01T10:00:00.1Z",
		"133665120000000000": "2024-07-27T00:00:00Z", "132223104000000000": "2020-01-01T00:00:00Z", "13344473600000000": "2023-11-14T22:13:20Z", "638400000000000000": "2024-01-04T21:20:00Z",
		"20260302T100000Z": "2026-03-02T10:00:00Z", "20260302T100000.123Z": "2026-03-02T10:00:00.123Z", "20260302T110000+0100": "2026-03-02T10:00:00Z", "20260302100000": "2026-03-02T10:00:00Z",
		"20260302100000.123+0100": "2026-03-02T09:00:00.123Z", "20260302T1000Z": "2026-03-02T10:00:00Z", "20260302": "2026-03-02T00:00:00Z", "20260302100000123": "2026-03-02T10:00:00.123Z",
		"2026-03-02T10:00:00Z[UTC]": "2026-03-02T10:00:00Z", "2026-03-02 11:00:00 +0100 CET": "", "2026-03-02 10:00:00.5 +0000 UTC": "2026-03-02T10:00:00.5Z", "2026-03-02T10:00:00,123Z": "2026-03-02T10:00:00.123Z",
	} {
		got, ok := moment(s)
		if want == "" {
			continue
		}
		if !ok || !got.Equal(mustTime(t, want)) {
			t.Errorf("%q: %v %v, want %s", s, got, ok, want)
		}
	}
	if d := only(t, ownForm(t, "time", "1746093600.123")); d.Time.Format("2006-01-02T15:04:05.000Z07:00") != "2025-05-01T10:00:00.123Z" {
		t.Errorf("a text of seconds: %v", d.Time)
	}
	for _, s := range []string{"2026-03-02 10:00:00 z", "2026-03-02 z", "1e9.5", "1.2.3", "1746093600.", ".5", "20269999T100000Z", "20260230", "-1746093600.5", "99999999999999999999.1"} {
		moment(s) // whatever it says, it says it without a panic
	}
}

// TestAGuessedTimeIsMarked knows what is assumed: a zone, an hour, a year.
func TestAGuessedTimeIsMarked(t *testing.T) {
	for s, want := range map[string]struct {
		time    string
		guessed bool
	}{
		"2026-03-02T10:00:00Z": {"2026-03-02T10:00:00Z", false}, "1772445600": {"2026-03-02T10:00:00Z", false}, "Mon Mar 2 10:00:00 2026 UTC": {"2026-03-02T10:00:00Z", false},
		"2026-03-02 10:00:00": {"2026-03-02T10:00:00Z", true}, "2026-03-02": {"2026-03-02T00:00:00Z", true}, "20260302T100000": {"2026-03-02T10:00:00Z", true},
		"Mar  2 10:00:00": {"2026-03-02T10:00:00Z", true}, "Dec 31 10:00:00": {"2025-12-31T10:00:00Z", true}, "Mon Mar 2 10:00:00 2026 EST": {"2026-03-02T10:00:00Z", true},
		"3/2/2026 10:00:00 AM": {"2026-03-02T10:00:00Z", true},
	} {
		d := only(t, ownForm(t, "time", s))
		if !d.Time.Equal(mustTime(t, want.time)) || slices.Contains(d.Marks, MarkTimeGuessed) != want.guessed || d.TimeReplaced {
			t.Errorf("%q: %v %v replaced %v", s, d.Time, d.Marks, d.TimeReplaced)
		}
	}
	if got, guessed, ok := canon.Instant("Mar 2 10:00:00", time.Time{}); ok {
		t.Errorf("without a message there is no year: %v %v", got, guessed)
	}
}

// TestSeveritiesAreReadOrSaidToBeUnread holds the native form's scale of four, and what people write.
func TestSeveritiesAreReadOrSaidToBeUnread(t *testing.T) {
	for _, c := range []struct {
		value any
		want  canon.Severity
		mark  string
	}{
		{1, canon.Low, ""}, {4, canon.Critical, ""}, {"3", canon.High, ""}, {"high", canon.High, ""}, {"P1", canon.Critical, ""}, {"p2", canon.High, ""}, {"P3", canon.Medium, ""}, {"P4", canon.Low, ""}, {"P5", canon.Low, ""},
		{"High (8)", canon.High, ""}, {"2 - High", canon.High, ""}, {"SEVERITY_HIGH", canon.High, ""}, {"Sev 1", canon.Critical, ""}, {"very high", canon.Critical, ""}, {"4 (Low)", canon.Low, ""},
		{15, canon.Low, MarkSeverityScaled}, {50, canon.Medium, MarkSeverityScaled}, {"73", canon.High, MarkSeverityScaled}, {99.5, canon.Critical, MarkSeverityScaled}, {100, canon.Critical, MarkSeverityScaled},
		{0, canon.Medium, MarkSeverityUnknown}, {7, canon.Medium, MarkSeverityUnknown}, {101, canon.Medium, MarkSeverityUnknown}, {-3, canon.Medium, MarkSeverityUnknown}, {1e9, canon.Medium, MarkSeverityUnknown},
		{"purple", canon.Medium, MarkSeverityUnknown}, {"not high", canon.Medium, MarkSeverityUnknown}, {"low or high", canon.Medium, MarkSeverityUnknown}, {"", canon.Medium, ""}, {nil, canon.Medium, ""},
	} {
		d := only(t, ownForm(t, "severity", c.value))
		if mark := slices.Concat(d.Marks, []string{""})[0]; d.Severity != c.want || mark != c.mark {
			t.Errorf("%v is %d %v, want %d %q", c.value, d.Severity, d.Marks, c.want, c.mark)
		}
	}
}
