package casefind

import (
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"testing"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/pipeline/history"
	"forager/pipeline/journal"
)

func TestEverythingThatIsAskedForMustFit(t *testing.T) {
	t.Parallel()
	body := []byte(`{"id":"d-1"}`)
	sum := sha256.Sum256(body)
	key := enrich.Key{Kind: "host", Value: "web01"}
	const file = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	d := detection.Detection{
		ID: "d-1", Host: "WEB01.acme.example",
		Observables: []detection.Observable{{DataType: "hash", Data: "D41D8CD98F00B204E9800998ECF8427E"}},
		Files:       []detection.File{{SHA256: file}},
	}
	p := enrich.Plan{Key: key, Hash: key.Hash("soc")}
	m := history.Message{Sequence: 7, Body: body}
	for name, c := range map[string]struct {
		want Wanted
		fits bool
	}{
		"id":                     {Wanted{ID: "D-1"}, true},
		"another id":             {Wanted{ID: "d-2"}, false},
		"a part of the id":       {Wanted{ID: "d-"}, false},
		"host, short":            {Wanted{Host: "web01"}, true},
		"host of another domain": {Wanted{Host: "web01.other.example"}, true},
		"full names":             {Wanted{Host: "web01.other.example", FullHosts: true}, false},
		"another host":           {Wanted{Host: "web1"}, false},
		"key":                    {Wanted{Key: "host:web01"}, true},
		"key without kind":       {Wanted{Key: "Web01"}, true},
		"key of another kind":    {Wanted{Key: "user:web01"}, false},
		"tag":                    {Wanted{Hash: key.Tag("soc")}, true},
		"tag of another account": {Wanted{Hash: key.Tag("other")}, false},
		"digest of the journal":  {Wanted{Hash: journal.Digest(body)}, true},
		"digest":                 {Wanted{Hash: hex.EncodeToString(sum[:])}, true},
		"observable":             {Wanted{Hash: "d41d8cd98f00b204e9800998ecf8427e"}, true},
		"file":                   {Wanted{Hash: file}, true},
		"sequence":               {Wanted{Sequence: 7}, true},
		"another sequence":       {Wanted{Sequence: 8}, false},
		"id, of another host":    {Wanted{ID: "d-1", Host: "web02"}, false},
		"id and host":            {Wanted{ID: "d-1", Host: "web01", Sequence: 7}, true},
	} {
		if err := c.want.check(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := c.want.fits(m, d, p); got != c.fits {
			t.Errorf("%s: %v, want %v", name, got, c.fits)
		}
	}
}

// TestWhatNobodyCanReadIsFoundByItsText: so that a poison message is found by the id that is in it.
func TestWhatNobodyCanReadIsFoundByItsText(t *testing.T) {
	t.Parallel()
	m := history.Message{Sequence: 7, Body: []byte(`{"id":"D-1","host":"web01",`)}
	for name, c := range map[string]struct {
		want  Wanted
		there bool
	}{
		"id":       {Wanted{ID: "d-1"}, true},
		"key":      {Wanted{Key: "host:WEB01"}, true},
		"other":    {Wanted{ID: "d-2"}, false},
		"both":     {Wanted{ID: "d-1", Host: "web02"}, false},
		"sequence": {Wanted{Sequence: 8}, false},
	} {
		if got := c.want.mentioned(m); got != c.there {
			t.Errorf("%s: %v, want %v", name, got, c.there)
		}
	}
}

func TestOnlyTheNewestMatchesAreKept(t *testing.T) {
	t.Parallel()
	n := newest{most: 2}
	for i := range uint64(5) {
		n.add(candidate{message: history.Message{Sequence: i}})
	}
	got := []uint64{}
	for _, c := range n.all {
		got = append(got, c.message.Sequence)
	}
	if !slices.Equal(got, []uint64{3, 4}) || n.left != 3 {
		t.Errorf("kept %v, left %d", got, n.left)
	}
}
