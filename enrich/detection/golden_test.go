package detection

import (
	"encoding/json"
	"flag"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"forager/enrich/detection/canon"

	"github.com/google/go-cmp/cmp"
)

// TestFixturesGiveTheirGoldenDetections reads an event of every format and compares all of what
// comes out. `go test -update` writes the golden files anew.
func TestFixturesGiveTheirGoldenDetections(t *testing.T) {
	update := flag.Lookup("update").Value.String() == "true"
	d := mustNew(t, Options{})
	missing := map[string]bool{}
	for _, name := range d.Formats() {
		missing[name] = true
	}
	delete(missing, genericFormat) // it recognises nothing
	for _, file := range sampleFiles(t, "testdata") {
		folder := filepath.Base(filepath.Dir(file))
		if folder == "fuzz" {
			continue
		}
		t.Run(folder+"/"+strings.TrimSuffix(filepath.Base(file), filepath.Ext(file)), func(t *testing.T) {
			body, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			r, err := d.Decode(Message{Body: body, Time: now})
			if err != nil {
				t.Fatal(err)
			}
			if folder != "cloudevents" && r.Format != folder {
				t.Errorf("recognised as %q", r.Format)
			}
			got, err := json.MarshalIndent(r, "", " ")
			if err != nil {
				t.Fatal(err)
			}
			golden := strings.TrimSuffix(file, filepath.Ext(file)) + ".golden"
			if update {
				if err := os.WriteFile(golden, append(got, '\n'), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), string(got)+"\n"); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
		})
		delete(missing, folder)
	}
	if len(missing) > 0 {
		t.Errorf("formats without a fixture: %v", slices.Sorted(maps.Keys(missing)))
	}
}

func TestMain(m *testing.M) {
	flag.Bool("update", false, "write the golden files anew")
	os.Exit(m.Run())
}

func TestTimesInEveryLayout(t *testing.T) {
	for s, want := range map[string]string{
		"2023-11-05T10:22:54.197+0000":     "2023-11-05T10:22:54.197Z",
		"2016-08-19 11:07:47.489 +09:00":   "2016-08-19T02:07:47.489Z",
		"Sun Nov  5 10:22:53 2023 UTC":     "2023-11-05T10:22:53Z",
		"Sun Nov 5 10:22:53 2023 UTC":      "2023-11-05T10:22:53Z",
		"1723564700":                       "2024-08-13T15:58:20Z",
		"1723564700123":                    "2024-08-13T15:58:20.123Z",
		"1715606609089890892":              "2024-05-13T13:23:29.089890892Z",
		"1588316619.758101":                "2020-05-01T07:03:39.758101Z",
		"1.7235647e+09":                    "2024-08-13T15:58:20Z",
		"2020-02-02T14:05:01.5348545Z":     "2020-02-02T14:05:01.5348545Z",
		"2025-02-25 20:40:06.000000000":    "2025-02-25T20:40:06Z",
		"2024/11/12 08:39:13.967":          "2024-11-12T08:39:13.967Z",
		"2025-02-11T13:37:05.000+05:30":    "2025-02-11T08:07:05Z",
		"2024-05-01 22:12:05 UTC":          "2024-05-01T22:12:05Z",
		"2024-05-01 22:12:05 (UTC)":        "2024-05-01T22:12:05Z",
		"1/15/2025 12:00:00 AM":            "2025-01-15T00:00:00Z",
		"/Date(1723564700123)/":            "2024-08-13T15:58:20.123Z",
		"2025-02-03T13:29:41.551768+00:00": "2025-02-03T13:29:41.551768Z",
		"2023-09-19T10:55:09.000-04:00":    "2023-09-19T14:55:09Z",
	} {
		got, ok := moment(s)
		if !ok || got.Round(time.Microsecond).Format(time.RFC3339Nano) != mustTime(t, want).Round(time.Microsecond).Format(time.RFC3339Nano) {
			t.Errorf("%q: %v %v, want %s", s, got, ok, want)
		}
	}
	for _, s := range []string{"", "TIMESTAMP", "12", "now", "0000-00-00", "9999999999999999999999", "NaN", "Inf"} {
		if got, ok := moment(s); ok && canon.Plausible(got, now) {
			t.Errorf("%q is %v", s, got)
		}
	}
}

func mustTime(t *testing.T, s string) time.Time {
	t.Helper()
	got, err := time.Parse(time.RFC3339Nano, s)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// moment is an instant whose year, where it has none, is nobody's.
func moment(s string) (time.Time, bool) {
	t, _, ok := canon.Instant(s, time.Time{})
	return t, ok
}
