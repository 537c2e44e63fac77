package related_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/enrich/detection"
	"forager/enrich/related"
	"forager/hive"
)

func TestByWhichValuesOthersAreLookedFor(t *testing.T) {
	t.Parallel()
	ip := func(s string) detection.Observable { return detection.Observable{DataType: "ip", Data: s} }
	name := func(dataType, data string) hive.ObservableName {
		return hive.ObservableName{DataType: dataType, Data: data}
	}
	for what, test := range map[string]struct {
		of   []detection.Observable
		want []hive.ObservableName
	}{
		"nothing":               {nil, nil},
		"hosts, users and URLs": {[]detection.Observable{{DataType: "hostname", Data: "web01"}, {DataType: "user", Data: "root"}, {DataType: "url", Data: "https://a.example/"}}, nil},
		"private, local and odd addresses": {[]detection.Observable{
			ip("10.1.2.3"), ip("192.168.1.1"), ip("172.16.0.1"), ip("127.0.0.1"), ip("169.254.1.1"), ip("fe80::1"), ip("fd00::1"), ip("0.0.0.0"), ip("224.0.0.1"), ip("::1"), ip("what"), ip("255.255.255.255"),
		}, nil},
		"external addresses": {[]detection.Observable{ip("203.0.113.7"), ip("2001:db8::1")}, []hive.ObservableName{name("ip", "203.0.113.7"), name("ip", "2001:db8::1")}},
		"what is too common": {[]detection.Observable{{DataType: "ip", Data: "8.8.8.8", IgnoreSimilarity: true}, {DataType: "hash", Data: "aa", IgnoreSimilarity: true}, {DataType: "domain", Data: "a.example", IOC: true, IgnoreSimilarity: true}}, nil},
		"indicators before hashes before addresses, each once, at most five": {[]detection.Observable{
			ip("203.0.113.7"), {DataType: "hash", Data: "aa"}, {DataType: "hash", Data: "bb"}, {DataType: "domain", Data: "c2.example", IOC: true}, ip("203.0.113.7"),
			{DataType: "hash", Data: "aa"}, {DataType: "url", Data: "https://c2.example/", IOC: true}, ip("203.0.113.8"), ip("203.0.113.9"),
		}, []hive.ObservableName{name("domain", "c2.example"), name("url", "https://c2.example/"), name("hash", "aa"), name("hash", "bb"), name("ip", "203.0.113.7")}},
	} {
		got := related.Of(test.of)
		if len(got) == 0 {
			got = nil
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s: %s", what, diff)
		}
	}
}

func TestWhichCasesAreLinked(t *testing.T) {
	t.Parallel()
	var found, want []hive.Case
	for n := 1; n <= 30; n++ { // itself, and more than ten others
		found = append(found, hive.Case{ID: fmt.Sprint("~", n), Number: n})
	}
	for n := 29; n > 19; n-- {
		want = append(want, hive.Case{ID: fmt.Sprint("~", n), Number: n})
	}
	chosen := related.Choose("~30", found)
	if diff := cmp.Diff(want, chosen); diff != "" {
		t.Error(diff)
	}
	left := related.Missing(chosen, []hive.Linked{{Kind: "by hand", CaseID: "~29"}, {Kind: related.Kind, CaseID: "~21"}, {Kind: related.Kind, CaseID: "~99"}})
	if len(left) != 8 || left[0].ID != "~28" || left[7].ID != "~20" {
		t.Errorf("left %v", left)
	}
}

func TestWhatIsDueIsBounded(t *testing.T) {
	t.Parallel()
	d := related.NewDue()
	now := time.Unix(1_700_000_000, 0)
	for i := range 10_000 {
		d.Later(related.Case{ID: fmt.Sprint(i)}, now.Add(time.Second))
	}
	if _, ok := d.Take(now); ok {
		t.Error("taken before its time")
	}
	n := 0
	for {
		c, ok := d.Take(now.Add(time.Second))
		if !ok {
			break
		}
		n++
		d.Alone(c.ID)
		d.Later(c, now) // it was looked at, and had no others
	}
	if n != 4096 {
		t.Errorf("%d of 10000 were held", n)
	}
	for i := range 20_000 {
		d.Alone(fmt.Sprint("x", i))
	}
	if !d.WasAlone("x19999") {
		t.Error("the last one is forgotten")
	}
}

func TestAStateThatIsOver(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	s := related.New(7, now, []detection.Observable{{DataType: "hash", Data: "aa"}})
	if s.Over(now) || s.Over(now.Add(related.GiveUp)) || !s.Over(now.Add(related.GiveUp+time.Second)) {
		t.Error("a day is a day")
	}
	late := now.Add(2*time.Hour + time.Second)
	if s.Waits(now) || !s.Waits(late) {
		t.Error("a case that did not get what it should have waits two hours")
	}
	if s.Ready = true; !s.Waits(now) {
		t.Error("one that has it waits")
	}
	s.Linked = []string{"~1"}
	s.Done()
	if diff := cmp.Diff(&related.State{Linked: []string{"~1"}}, s); diff != "" || s.Waits(late) {
		t.Error(diff)
	}
	if none := related.New(7, now, nil); !s.Over(now) || !none.Over(now) {
		t.Error("what is done is over")
	}
}

func TestWhatIsLeftOutIsSaidWithItsReason(t *testing.T) {
	t.Parallel()
	name := func(dataType, data string) hive.ObservableName {
		return hive.ObservableName{DataType: dataType, Data: data}
	}
	observables := []detection.Observable{
		{DataType: "hostname", Data: "web01"}, // no kind that says anything
		{DataType: "ip", Data: "10.0.0.7"},
		{DataType: "domain", Data: "cdn.example", IOC: true, IgnoreSimilarity: true},
		{DataType: "domain", Data: "evil.example", IOC: true},
	}
	for _, h := range []string{"a", "b", "c", "d", "e"} {
		observables = append(observables, detection.Observable{DataType: "hash", Data: h})
	}
	want := []related.LeftOut{
		{ObservableName: name("ip", "10.0.0.7"), Why: "no external address"},
		{ObservableName: name("domain", "cdn.example"), Why: "too common: private, or on an allow-list"},
		{ObservableName: name("hash", "e"), Why: "at most five are looked for"},
	}
	if diff := cmp.Diff(want, related.Left(observables)); diff != "" {
		t.Error(diff)
	}
}
