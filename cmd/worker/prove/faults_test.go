package prove

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"testing"
)

// injected is a fault that was made, and how it must be named.
type injected struct {
	name     string
	kind     Kind
	sequence uint64
	number   int
}

// victims are the case and the messages that one fault is made on.
type victims struct {
	c             *made // with three messages of three techniques
	other         *made // another, for what moves
	dropped, dead *sent
	beyond        uint64 // a sequence that the stream never had
}

// at is the fault of a message, in a case, or of either alone.
func at(kind Kind, m *sent, c *made) injected {
	i := injected{kind: kind}
	if m != nil {
		i.sequence = m.sequence
	}
	if c != nil {
		i.number = c.number
	}
	return i
}

// fault makes a fault in TheHive, or in what is recorded; what it writes itself is left out of the records.
type fault struct {
	name string
	make func(w *world, v victims, written map[*sent]bool) injected
}

func faults() []fault {
	return slices.Concat(effectFaults(), caseFaults(), recordFaults(), letterFaults())
}

// part finds what belongs to a case.
func (w *world) part(c *made, part, key, value string) map[string]any {
	w.t.Helper()
	got := w.ask("POST", "query", map[string]any{"query": []any{
		map[string]any{"_name": "getCase", "idOrName": c.id}, map[string]any{"_name": part}, map[string]any{"_name": "page", "from": 0, "to": 100},
	}})
	for _, x := range got["all"].([]any) {
		if one := x.(map[string]any); one[key] == value {
			return one
		}
	}
	w.t.Fatalf("case %d has no %s %s", c.number, part, value)
	return nil
}

func effectFaults() []fault {
	type marks = map[*sent]bool
	return []fault{
		{"observable deleted", func(w *world, v victims, _ marks) injected {
			w.ask("DELETE", "observable/"+v.c.values[v.c.in[1].value], nil)
			return at(EffectMissing, v.c.in[1], v.c)
		}},
		{"observable moved", func(w *world, v victims, _ marks) injected {
			w.ask("DELETE", "observable/"+v.c.values[v.c.in[2].value], nil)
			w.ask("POST", "case/"+v.other.id+"/observable", map[string]any{"dataType": "ip", "data": []string{v.c.in[2].value}})
			return at(EffectMissing, v.c.in[2], v.c)
		}},
		{"observable of nobody", func(w *world, v victims, _ marks) injected {
			w.ask("POST", "case/"+v.c.id+"/observable", map[string]any{"dataType": "ip", "data": []string{"203.0.113.77"}})
			return at(WithoutMessage, nil, v.c)
		}},
		{"procedure deleted", func(w *world, v victims, _ marks) injected {
			w.ask("DELETE", "procedure/"+w.part(v.c, "procedures", "patternId", techniques[1])["_id"].(string), nil)
			return at(EffectMissing, v.c.in[1], v.c)
		}},
		{"procedure doubled", func(w *world, v victims, _ marks) injected {
			w.ask("POST", "case/"+v.c.id+"/procedures", map[string]any{"procedures": []any{map[string]any{"patternId": techniques[0], "tactic": "execution", "occurDate": v.c.in[0].at.UnixMilli()}}})
			return at(EffectDoubled, nil, v.c)
		}},
		{"procedure dated wrongly", func(w *world, v victims, _ marks) injected {
			w.ask("PATCH", "procedure/"+w.part(v.c, "procedures", "patternId", techniques[2])["_id"].(string), map[string]any{"occurDate": v.c.in[0].at.UnixMilli() + 1})
			return at(DatedWrongly, nil, v.c)
		}},
		{"procedure of nobody", func(w *world, v victims, _ marks) injected {
			w.ask("POST", "case/"+v.c.id+"/procedures", map[string]any{"procedures": []any{map[string]any{"patternId": techniques[3], "tactic": "execution", "occurDate": v.c.in[0].at.UnixMilli()}}})
			return at(WithoutMessage, nil, v.c)
		}},
		{"comment doubled", func(w *world, v victims, _ marks) injected {
			w.ask("POST", "case/"+v.c.id+"/comment", map[string]any{"message": "seen again\n\n" + v.c.marker(v.c.in)})
			return at(EffectDoubled, nil, v.c)
		}},
		{"page doubled", func(w *world, v victims, _ marks) injected {
			w.ask("POST", "case/"+v.c.id+"/page", map[string]any{"title": "Detections", "category": "Forager", "order": 1, "content": "again"})
			return at(EffectDoubled, nil, v.c)
		}},
	}
}

func caseFaults() []fault {
	type marks = map[*sent]bool
	return []fault{
		{"case doubled", func(w *world, v victims, _ marks) injected {
			twin := w.ask("POST", "case", map[string]any{"title": "seen", "severity": 2, "startDate": v.c.start, "tags": []string{v.c.tag}, "description": "seen"})
			return injected{kind: CaseDoubled, number: int(twin["number"].(float64))}
		}},
		{"case deleted", func(w *world, v victims, _ marks) injected {
			w.ask("DELETE", "case/"+v.c.id, nil)
			return at(CaseMissing, v.c.in[0], v.c)
		}},
		{"case dated wrongly", func(w *world, v victims, _ marks) injected {
			w.ask("PATCH", "case/"+v.c.id, map[string]any{"startDate": v.c.start - 1})
			return at(DatedWrongly, nil, v.c)
		}},
		{"acknowledged without effect", func(w *world, v victims, written marks) injected {
			w.note(v.dropped, acknowledged, nil)
			written[v.dropped] = true
			return at(Lost, v.dropped, nil)
		}},
	}
}

func recordFaults() []fault {
	type marks = map[*sent]bool
	altered := func(m func(v victims) *sent, kind Kind, outcome string, change func(*world, victims, map[string]any)) func(*world, victims, marks) injected {
		return func(w *world, v victims, written marks) injected {
			one := m(v)
			w.note(one, outcome, func(l map[string]any) { change(w, v, l) })
			written[one] = true
			return at(kind, one, nil)
		}
	}
	first := func(v victims) *sent { return v.c.in[0] }
	return []fault{
		{"line missing", func(_ *world, v victims, written marks) injected {
			written[v.c.in[1]] = true
			return at(LineMissing, v.c.in[1], nil)
		}},
		{"line altered", altered(first, LineAltered, acknowledged, func(_ *world, _ victims, l map[string]any) { l["digest"] = digestOf(nil) })},
		{"line contradicts another", func(w *world, v victims, _ marks) injected {
			w.note(v.c.in[1], dropped, nil)
			return at(LineContradicts, v.c.in[1], nil)
		}},
		{"line says dropped of what is in a case", altered(first, LineContradicts, dropped, func(*world, victims, map[string]any) {})},
		{"line names another case", func(w *world, v victims, written marks) injected {
			w.note(v.c.in[0], acknowledged, func(l map[string]any) { l["cases"] = []int{v.other.number} })
			written[v.c.in[0]] = true
			return at(EffectMissing, v.c.in[0], v.other)
		}},
		{"line without message", func(w *world, v victims, _ marks) injected {
			w.note(&sent{sequence: v.beyond, stored: begin}, acknowledged, nil)
			return injected{kind: LineWithoutMessage, sequence: v.beyond}
		}},
	}
}

func letterFaults() []fault {
	type marks = map[*sent]bool
	return []fault{
		{"letter missing", func(w *world, v victims, written marks) injected {
			w.note(v.dead, deadLetter, nil)
			written[v.dead] = true
			return at(LetterMissing, v.dead, nil)
		}},
		{"letter doubled", func(w *world, v victims, _ marks) injected {
			w.deadLetter(v.dead, v.dead.body)
			return at(LetterDoubled, v.dead, nil)
		}},
		{"letter altered", func(w *world, v victims, written marks) injected {
			w.note(v.dead, deadLetter, nil)
			w.deadLetter(v.dead, []byte("{}"))
			written[v.dead] = true
			return at(LetterAltered, v.dead, nil)
		}},
		{"letter without message", func(w *world, v victims, _ marks) injected {
			w.deadLetter(&sent{sequence: v.beyond, stored: begin}, []byte("{}"))
			return injected{kind: LetterWithoutMessage, sequence: v.beyond}
		}},
	}
}

// TestEveryFaultIsFound makes FORAGER_FAULTS faults of each kind, each on a case or message of its own, and asks for all of
// them, and for nothing about anything that was left as it was.
func TestEveryFaultIsFound(t *testing.T) {
	t.Parallel()
	each := 3
	if n, err := strconv.Atoi(os.Getenv("FORAGER_FAULTS")); err == nil {
		each = n
	}
	kinds := faults()
	w := newWorld(t, 20, true)
	made := len(kinds) * each
	var groups [][]*sent
	for i := range 2 * made {
		groups = append(groups, w.detect(fmt.Sprintf("host-%d", i), 3))
	}
	var others []*sent
	for i := range 2 * made {
		m := &sent{outcome: []string{dropped, deadLetter}[i%2]}
		w.publish(m, fmt.Appendf(nil, `{"kind":"other","n":%d}`, i))
		others = append(others, m)
	}
	w.settle()
	for _, g := range groups {
		w.open(g)
	}
	touched, written := map[string]bool{}, map[*sent]bool{}
	var all []injected
	for i := range made {
		v := victims{c: w.cases[2*i], other: w.cases[2*i+1], dropped: others[2*i], dead: others[2*i+1], beyond: uint64(1_000_000 + i)}
		one := kinds[i%len(kinds)].make(w, v, written)
		one.name = kinds[i%len(kinds)].name
		all = append(all, one)
		touch(touched, v, one)
	}
	w.record(written)
	judge(t, all, touched, w.prove())
	t.Logf("%d faults of %d kinds", len(all), len(kinds))
}

// touch notes what a fault may be told of.
func touch(touched map[string]bool, v victims, one injected) {
	for _, m := range slices.Concat(v.c.in, v.other.in, []*sent{v.dropped, v.dead}) {
		touched[fmt.Sprint("message ", m.sequence)] = true
	}
	for _, n := range []int{v.c.number, v.other.number, one.number} {
		touched[fmt.Sprint("case ", n)] = true
	}
	touched[fmt.Sprint("message ", v.beyond)] = true
}

// judge holds what was found against what was made.
func judge(t *testing.T, all []injected, touched map[string]bool, r Report) {
	t.Helper()
	found := map[injected]bool{}
	for _, f := range r.Faults {
		found[injected{kind: f.Kind, sequence: f.Sequence, number: f.Case}] = true
		found[injected{kind: f.Kind, sequence: f.Sequence}] = true
		if !touched[fmt.Sprint("message ", f.Sequence)] && !touched[fmt.Sprint("case ", f.Case)] {
			t.Errorf("found %+v, where nothing was done", f)
		}
	}
	missed := map[string]int{}
	for _, i := range all {
		if !found[injected{kind: i.kind, sequence: i.sequence, number: i.number}] {
			missed[i.name]++
		}
	}
	for _, name := range slices.Sorted(maps.Keys(missed)) {
		t.Errorf("%s: %d not found", name, missed[name])
	}
}
