package apply

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/enrich/rules"
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

// TestACaseThatIsOpenedHasItsRoutesShape, dated by the oldest detection, with the highest marks of all, and the tags that fit.
func TestACaseThatIsOpenedHasItsRoutesShape(t *testing.T) {
	at := time.Date(2026, 3, 9, 8, 0, 0, 0, time.UTC)
	task := hive.NewTask{Title: "look"}
	plan := func(minute, severity int, shape rules.Shape, tags ...string) enrich.Plan {
		return enrich.Plan{
			Organisation: "o", Key: enrich.Key{Kind: "host", Value: "web01"}, Title: "logon", At: at.Add(time.Duration(minute) * time.Minute),
			Severity: severity, TLP: severity - 1, PAP: severity - 1, Tags: tags, Shape: shape,
		}
	}
	for name, c := range map[string]struct {
		plans    []enrich.Plan
		room     int
		assignee string
		tags     int // beside Forager's own
		severity int
		tasks    []hive.NewTask
	}{
		"no shape":            {[]enrich.Plan{plan(0, 2, rules.Shape{}, "a")}, 9, "", 1, 2, nil},
		"nobody":              {[]enrich.Plan{plan(0, 2, rules.Shape{Assignee: rules.Nobody})}, 9, "", 0, 2, nil},
		"somebody":            {[]enrich.Plan{plan(0, 2, rules.Shape{Assignee: "ann@example.test", Tasks: []hive.NewTask{task}})}, 9, "ann@example.test", 0, 2, []hive.NewTask{task}},
		"the highest of all":  {[]enrich.Plan{plan(0, 1, rules.Shape{}, "a"), plan(5, 3, rules.Shape{Assignee: "late@example.test"}, "b")}, 9, "", 2, 3, nil},
		"more tags than room": {[]enrich.Plan{plan(0, 2, rules.Shape{}, "a", "b", "c", "d")}, 2, "", 2, 2, nil},
	} {
		got := newCase(c.plans, c.room+ownTags)
		own := len(slices.DeleteFunc(slices.Clone(got.Tags), func(tag string) bool { return !ownTag(tag) }))
		if got.Assignee != c.assignee || len(got.Tags)-own != c.tags || *got.Severity != c.severity || *got.TLP != c.severity-1 || *got.PAP != c.severity-1 ||
			got.StartDate != hive.MillisOf(at) || got.Tags[0] != c.plans[0].Tag() {
			t.Errorf("%s: %+v", name, got)
		}
		if diff := cmp.Diff(c.tasks, got.Tasks); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}

// TestOnlyItsOwnWordsAreChargedToADetection: what the configuration got wrong, and tags, which are tried again one by one, are not.
func TestOnlyItsOwnWordsAreChargedToADetection(t *testing.T) {
	refused := &hive.Error{Op: "create case", Status: 400, Type: "BadRequest", Message: "no"}
	for name, c := range map[string]struct {
		left []optional
		want int
	}{
		"nothing":            {nil, 0},
		"its title":          {[]optional{{name: "title"}}, 1},
		"tags":               {[]optional{{name: "tags"}}, 0},
		"an assignee":        {[]optional{{name: "assignee", config: true}}, 0},
		"all of these":       {[]optional{{name: "tags"}, {name: "assignee", config: true}, {name: "title"}}, 1},
		"tags by the config": {[]optional{{name: "tags", config: true}}, 0},
	} {
		out := newOutcomes(2)
		r := &resolution{turn: &turn{job: &job{rest: []int{1}, out: out}}}
		r.chargeTexts(target{plans: []int{0}}, &creation{left: c.left, cause: refused})
		if len(out.refusals[1]) != c.want || len(out.refusals[0]) != 0 {
			t.Errorf("%s: %v", name, out.refusals)
		}
	}
}

// TestAKeyOpensAsManyCasesAnHourAsItsRouteSays, by event time, and not one more.
func TestAKeyOpensAsManyCasesAnHourAsItsRouteSays(t *testing.T) {
	at := time.Date(2026, 3, 9, 8, 0, 0, 0, time.UTC)
	r := &resolution{}
	for i, want := range []bool{true, true, false} {
		if err := r.mayOpen(t.Context(), enrich.Plan{At: at, KeyCap: 2}); (err == nil) != want {
			t.Errorf("case %d: %v", i+1, err)
		}
		if err := r.mayOpen(t.Context(), enrich.Plan{At: at.Add(time.Hour), KeyCap: 2}); err != nil {
			t.Errorf("an hour later: %v", err)
		}
		if err := r.mayOpen(t.Context(), enrich.Plan{At: at}); err != nil {
			t.Errorf("without a limit: %v", err)
		}
		r.body.count(hour(at))
	}
}
