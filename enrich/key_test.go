package enrich_test

import (
	"slices"
	"testing"

	"forager/enrich"
	"forager/enrich/detection"
)

// keyed is the key that the planner gives a detection; empty is none.
func keyed(t *testing.T, d detection.Detection, full bool) (key, hash string) {
	t.Helper()
	d.ID, d.Title = "1", "x"
	p, err := enrich.NewPlanner(enrich.PlannerOptions{FullHosts: full}).Plan(d, enrich.Origin{})
	if err != nil {
		return "", ""
	}
	return p.Key.String(), p.Hash
}

// TestTheDefaultKeyNamesOneThingOnce says which values are one key, and which are none.
func TestTheDefaultKeyNamesOneThingOnce(t *testing.T) {
	for name, c := range map[string]struct {
		d    detection.Detection
		want string
	}{
		"short":                  {detection.Detection{Host: "LT-9"}, "host:lt-9"},
		"full":                   {detection.Detection{Host: "lt-9.acme.example"}, "host:lt-9"},
		"machine account":        {detection.Detection{User: `ACME\LT-9$`}, "host:lt-9"},
		"braille":                {detection.Detection{Host: "lt\u2800-9"}, "host:lt-9"},
		"own key first":          {detection.Detection{Key: "INC 7", Host: "lt-9"}, "key:INC 7"},
		"host before user":       {detection.Detection{Host: "lt-9", User: "erin"}, "host:lt-9"},
		"localhost is no host":   {detection.Detection{Host: "localhost", User: "erin"}, "user:erin"},
		"loopback is no host":    {detection.Detection{Host: "127.0.0.1", IP: "203.0.113.7"}, "ip:203.0.113.7"},
		"system is no user":      {detection.Detection{User: `NT AUTHORITY\SYSTEM`, IP: "203.0.113.7"}, "ip:203.0.113.7"},
		"address as host":        {detection.Detection{Host: "10.20.0.9"}, "host:10.20.0.9"},
		"mail":                   {detection.Detection{User: "erin@acme.example"}, `user:acme\erin`},
		"nobody at all":          {detection.Detection{Host: "-", User: "root", IP: "0.0.0.0", Key: "N/A"}, ""},
		"dash is no key of one":  {detection.Detection{Key: "-", Host: "lt-9"}, "host:lt-9"},
		"loopback is no address": {detection.Detection{IP: "::1"}, ""},
	} {
		if got, _ := keyed(t, c.d, false); got != c.want {
			t.Errorf("%s: key %q, want %q", name, got, c.want)
		}
	}
	if got, _ := keyed(t, detection.Detection{Host: "LT-9.acme.example"}, true); got != "host:lt-9.acme.example" {
		t.Errorf("with full names: %q", got)
	}
}

// TestHashesOfPlainNamesStay holds the hash of what cases in TheHive have been tagged with: SHA-256 over
// organisation, 0, kind, 0, lower case (computed by sha256sum).
func TestHashesOfPlainNamesStay(t *testing.T) {
	for _, host := range []string{"WEB01", "web01", "web01.acme.example", "web\u200d01"} {
		if _, got := keyed(t, detection.Detection{Host: host}, false); got != "6d83640b1bf5077cbfef9e44f52a5cb3" {
			t.Errorf("%q: %s", host, got)
		}
	}
}

// TestWhatWasAssumedIsATag shows an analyst what the reader had to assume.
func TestWhatWasAssumedIsATag(t *testing.T) {
	d := detection.Detection{ID: "1", Title: "x", Host: "h", Format: "native", Marks: []string{detection.MarkInvalidUTF8}, Tags: []string{"forager:severity-scaled"}}
	p, err := enrich.NewPlanner(enrich.PlannerOptions{}).Plan(d, enrich.Origin{})
	if want := []string{"forager:invalid-utf8", "native"}; err != nil || !slices.Equal(p.Tags, want) {
		t.Errorf("tags %v, want %v (%v)", p.Tags, want, err)
	}
}
