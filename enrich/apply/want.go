package apply

import (
	"crypto/sha256"
	"encoding/base64"
	"slices"
	"strings"

	"forager/enrich"
	"forager/enrich/detection"
)

// want is what some plans ask of one case together: sets, each item with the plans that
// brought it, so that a refusal is charged to them and to no other.
type want struct {
	plans       []enrich.Plan
	observables []wantedObservable
	procedures  []wantedProcedure
	tags        []wantedTag
	severity    int
	tlp, pap    int
	broken      map[int]error // plans whose items could not be made
}

type wantedObservable struct {
	detection.Observable
	hash   string
	owners []int
}

type wantedProcedure struct {
	enrich.Technique
	at     int64 // occurDate, ms: the earliest detection's
	note   string
	owners []int
}

type wantedTag struct {
	tag    string
	owners []int
}

// merge unites plans of one case, which are sorted by event time.
func merge(plans []enrich.Plan) *want {
	w := &want{plans: plans, broken: map[int]error{}}
	observables, procedures, tags := map[string]int{}, map[string]int{}, map[string]int{}
	for i, p := range plans {
		if err := caught(func() error { w.add(p, i, observables, procedures, tags); return nil }); err != nil {
			w.broken[i] = err
		}
	}
	return w
}

// add adds what one plan asks for.
func (w *want) add(p enrich.Plan, i int, observables, procedures, tags map[string]int) {
	w.severity, w.tlp, w.pap = max(w.severity, p.Severity), max(w.tlp, p.TLP), max(w.pap, p.PAP)
	for _, o := range p.Observables {
		w.addObservable(observables, o, i)
	}
	for _, t := range p.Techniques {
		if t.ID != "" {
			w.addProcedure(procedures, t, p, i)
		}
	}
	for _, tag := range p.Tags {
		w.addTag(tags, tag, i)
	}
}

func (w *want) addObservable(seen map[string]int, o detection.Observable, owner int) {
	h := observableHash(o.DataType, o.Data)
	if i, ok := seen[h]; ok {
		w.observables[i].owners = owned(w.observables[i].owners, owner)
		return
	}
	seen[h] = len(w.observables)
	w.observables = append(w.observables, wantedObservable{Observable: o, hash: h, owners: []int{owner}})
}

func (w *want) addProcedure(seen map[string]int, t enrich.Technique, p enrich.Plan, owner int) {
	h := procedureName(t.ID, t.Tactic)
	if i, ok := seen[h]; ok {
		w.procedures[i].owners = owned(w.procedures[i].owners, owner)
		return
	}
	seen[h] = len(w.procedures)
	w.procedures = append(w.procedures, wantedProcedure{
		Technique: t, at: p.At.UnixMilli(), note: procedureNote(t, p), owners: []int{owner},
	})
}

func (w *want) addTag(seen map[string]int, tag string, owner int) {
	if i, ok := seen[tag]; ok {
		w.tags[i].owners = owned(w.tags[i].owners, owner)
		return
	}
	seen[tag] = len(w.tags)
	w.tags = append(w.tags, wantedTag{tag: tag, owners: []int{owner}})
}

func owned(owners []int, owner int) []int {
	if owners[len(owners)-1] == owner {
		return owners
	}
	return append(owners, owner)
}

// procedureNote is the description of a procedure, in Markdown.
func procedureNote(t enrich.Technique, p enrich.Plan) string {
	note := "Reported by " + strings.TrimSpace(p.Format+" rule "+p.Rule.ID+" "+p.Rule.Name) + " as " + t.Found + "."
	if t.Note != "" {
		note += " " + t.Note + "."
	}
	return detection.Escape(detection.Clean(note, maxNote))
}

// maxNote bounds the description of a procedure, in units, before it is escaped.
const maxNote = 8 << 10

// observableHash is the identity of an observable in the ledger.
func observableHash(dataType, data string) string { return itemHash("observable", dataType, data) }

// procedureName is how a procedure stands in marks, readable: "T1059.001/execution".
func procedureName(id, tactic string) string { return id + "/" + tactic }

// itemHash is 16 bytes of SHA-256 in 22 characters: entries hold thousands of them.
func itemHash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// alike tells whether two observables can go in one call: all but their data is the same.
func alike(a, b detection.Observable) bool {
	return a.DataType == b.DataType && a.Message == b.Message && a.IOC == b.IOC &&
		a.IgnoreSimilarity == b.IgnoreSimilarity && slices.Equal(a.Tags, b.Tags)
}

// batches cuts observables into calls: one a data type, as long as the rest is alike, of at most
// so many values.
func batches(all []wantedObservable, most int) [][]wantedObservable {
	var out [][]wantedObservable
	open := map[string]int{} // data type → index of the batch that still takes more, by likeness
	for _, o := range all {
		name := o.DataType + "\x00" + o.Message + "\x00" + strings.Join(o.Tags, "\x01")
		i, ok := open[name]
		if !ok || len(out[i]) == most || !alike(out[i][0].Observable, o.Observable) {
			open[name] = len(out)
			out = append(out, []wantedObservable{o})
			continue
		}
		out[i] = append(out[i], o)
	}
	return out
}
