package apply

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/hive"
)

// TestWhatACaseShowsOfALostUpdateHasArrived, and nothing else: the rest is written again.
func TestWhatACaseShowsOfALostUpdateHasArrived(t *testing.T) {
	n := func(i int) *int { return &i }
	shown := hive.Case{Severity: 3, TLP: 2, PAP: 1, Tags: []string{"a", "b"}}
	for name, c := range map[string]struct{ sent, want hive.CaseUpdate }{
		"all":           {hive.CaseUpdate{Severity: n(3), TLP: n(2), PAP: n(1), AddTags: []string{"b"}}, hive.CaseUpdate{Severity: n(3), TLP: n(2), PAP: n(1), AddTags: []string{"b"}}},
		"none":          {hive.CaseUpdate{Severity: n(4), TLP: n(3), PAP: n(2), AddTags: []string{"c"}}, hive.CaseUpdate{}},
		"some":          {hive.CaseUpdate{Severity: n(3), TLP: n(3), AddTags: []string{"c", "a"}}, hive.CaseUpdate{Severity: n(3), AddTags: []string{"a"}}},
		"never sent":    {hive.CaseUpdate{}, hive.CaseUpdate{}},
		"what was less": {hive.CaseUpdate{Severity: n(2), PAP: n(0)}, hive.CaseUpdate{}},
	} {
		if diff := cmp.Diff(c.want, arrived(c.sent, shown)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestObservablesThatAreAlikeGoInOneCall, up to what a call takes, in the order in which each is met.
func TestObservablesThatAreAlikeGoInOneCall(t *testing.T) {
	of := func(kind, data string, change func(*detection.Observable)) desiredObservable {
		o := detection.Observable{DataType: kind, Data: data, Tags: []string{"src"}}
		if change != nil {
			change(&o)
		}
		return desiredObservable{Observable: o}
	}
	indicator := func(o *detection.Observable) { o.IOC = true }
	quiet := func(o *detection.Observable) { o.IgnoreSimilarity = true }
	for name, c := range map[string]struct {
		all  []desiredObservable
		want [][]string
	}{
		"nothing":             {nil, nil},
		"alike":               {[]desiredObservable{of("ip", "1", nil), of("ip", "2", nil)}, [][]string{{"1", "2"}}},
		"one too many":        {[]desiredObservable{of("ip", "1", nil), of("ip", "2", nil), of("ip", "3", nil), of("ip", "4", nil)}, [][]string{{"1", "2", "3"}, {"4"}}},
		"two types in turn":   {[]desiredObservable{of("ip", "1", nil), of("url", "2", nil), of("ip", "3", nil)}, [][]string{{"1", "3"}, {"2"}}},
		"an indicator":        {[]desiredObservable{of("ip", "1", nil), of("ip", "2", indicator), of("ip", "3", indicator)}, [][]string{{"1"}, {"2", "3"}}},
		"one of many":         {[]desiredObservable{of("ip", "1", nil), of("ip", "2", quiet)}, [][]string{{"1"}, {"2"}}},
		"other tags":          {[]desiredObservable{of("ip", "1", nil), of("ip", "2", func(o *detection.Observable) { o.Tags = []string{"dst"} })}, [][]string{{"1"}, {"2"}}},
		"another message":     {[]desiredObservable{of("ip", "1", nil), of("ip", "2", func(o *detection.Observable) { o.Message = "m" })}, [][]string{{"1"}, {"2"}}},
		"tags that look like": {[]desiredObservable{of("ip", "1", func(o *detection.Observable) { o.Tags = []string{"a\x01b"} }), of("ip", "2", func(o *detection.Observable) { o.Tags = []string{"a", "b"} })}, [][]string{{"1"}, {"2"}}},
	} {
		var got [][]string
		for _, batch := range batches(c.all, 3) {
			var data []string
			for _, o := range batch {
				data = append(data, o.Data)
			}
			got = append(got, data)
		}
		if diff := cmp.Diff(c.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestPeopleAreToldWhatIsLeftOutAndWhoOpenedTooMany.
func TestPeopleAreToldWhatIsLeftOutAndWhoOpenedTooMany(t *testing.T) {
	for want, left := range map[string]map[string]int{
		"": nil, "Left out of this case, since it is full: at least 3 of kind tags": {"tags": 3},
		"Left out of this case, since it is full: at least 1 of kind observables, 2 of kind tags": {"tags": 2, "observables": 1},
	} {
		if got := leftOutWords(left); got != want {
			t.Errorf("%v: %q, want %q", left, got, want)
		}
	}
	p := enrich.Plan{Route: "servers", Key: enrich.Key{Kind: "host", Value: "web01"}}
	for want, over := range map[string]*overflowError{
		"route servers opened its cases of this hour": {plan: p}, "host:web01 opened its cases of this hour": {plan: p, key: true},
	} {
		if got := over.Error(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
