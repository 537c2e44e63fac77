package apply

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/enrich/detection/canon"
	"forager/enrich/markdown"
)

// desired is what some plans ask of one case together: sets, each item with the plans that
// brought it, so that a refusal is charged to them and to no other.
type desired struct {
	plans       []enrich.Plan
	observables []desiredObservable
	procedures  []desiredProcedure
	tags        []desiredTag
	severity    int
	tlp, pap    int
	broken      map[int]error // plans whose items could not be made
}

type desiredObservable struct {
	detection.Observable
	found  enrich.Detector // what brought it first
	at     int64           // event time of that, ms
	hash   string
	owners []int
}

type desiredProcedure struct {
	enrich.Technique
	at     int64 // occurDate, ms: the earliest detection's
	note   string
	owners []int
}

type desiredTag struct {
	tag    string
	owners []int
}

// merge unites plans of one case, which are sorted by event time.
func merge(plans []enrich.Plan) *desired {
	w := &desired{plans: plans, broken: map[int]error{}}
	observables, procedures, tags := map[string]int{}, map[string]int{}, map[string]int{}
	for i, p := range plans {
		if err := caught(func() error { w.add(p, i, observables, procedures, tags); return nil }); err != nil {
			w.broken[i] = err
		}
	}
	return w
}

// add adds what one plan asks for.
func (w *desired) add(p enrich.Plan, i int, observables, procedures, tags map[string]int) {
	w.severity, w.tlp, w.pap = max(w.severity, p.Severity), max(w.tlp, p.TLP), max(w.pap, p.PAP)
	for _, o := range p.Observables {
		w.addObservable(observables, o, p, i)
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

func (w *desired) addObservable(seen map[string]int, o detection.Observable, p enrich.Plan, owner int) {
	h := observableHash(o.DataType, o.Data)
	if i, ok := seen[h]; ok {
		w.observables[i].owners = owned(w.observables[i].owners, owner)
		return
	}
	seen[h] = len(w.observables)
	w.observables = append(w.observables, desiredObservable{Observable: o, found: p.Found, at: p.At.UnixMilli(), hash: h, owners: []int{owner}})
}

func (w *desired) addProcedure(seen map[string]int, t enrich.Technique, p enrich.Plan, owner int) {
	h := procedureName(t.ID, t.Tactic)
	if i, ok := seen[h]; ok {
		w.procedures[i].owners = owned(w.procedures[i].owners, owner)
		return
	}
	seen[h] = len(w.procedures)
	w.procedures = append(w.procedures, desiredProcedure{
		Technique: t, at: p.At.UnixMilli(), note: procedureNote(t, p), owners: []int{owner},
	})
}

func (w *desired) addTag(seen map[string]int, tag string, owner int) {
	if i, ok := seen[tag]; ok {
		w.tags[i].owners = owned(w.tags[i].owners, owner)
		return
	}
	seen[tag] = len(w.tags)
	w.tags = append(w.tags, desiredTag{tag: tag, owners: []int{owner}})
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
	return markdown.Text(canon.Clean(note, maxNote))
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
// so many values. A call says when its values were seen: those of one call were seen within a minute, unless that makes
// more than maxSightings calls of a data type; the last of these then takes the others, too.
func batches(all []desiredObservable, most int) [][]desiredObservable {
	var out [][]desiredObservable
	open := map[string]int{} // data type → index of the batch that still takes more, by likeness
	times := map[string]int{}
	for _, o := range all {
		name := o.DataType + "\x00" + o.Message + "\x00" + strings.Join(o.Tags, "\x01")
		i, ok := open[name]
		later := ok && o.at-out[i][0].at > seenTogether.Milliseconds() && times[name] < maxSightings
		if !ok || later || len(out[i]) == most || !alike(out[i][0].Observable, o.Observable) {
			open[name] = len(out)
			times[name]++
			out = append(out, []desiredObservable{o})
			continue
		}
		out[i] = append(out[i], o)
	}
	return out
}

// What was seen together goes in one call, and different times make so many calls more at most.
const (
	seenTogether = time.Minute
	maxSightings = 4
)

// A case takes no more than its limits, and whoever sends fast could fill them before something
// that matters comes. A part of each limit is therefore kept: of observables for indicators, of
// techniques and tags for detections that are severe.

// keptShare is the part of a limit that is kept: a quarter.
const keptShare = 4

// ownTags is the room for Forager's own tags, which are few and always fit.
const ownTags = 20

// maxLeftOut bounds how many items that were left out are remembered, so that none is counted
// twice; further ones are not counted.
const maxLeftOut = 1000

// fit chooses what a case with so many items has room for, in the order of preference; what is not
// preferred takes nothing of what is kept. While all of it fits, the order stays.
func fit[T any](need []T, held, limit int, prefer func(T) preference) (in, out []T) {
	if held+len(need) <= limit-limit/keptShare {
		return need, nil
	}
	ordered := slices.Clone(need)
	slices.SortStableFunc(ordered, func(a, b T) int { return prefer(b).compare(prefer(a)) })
	for _, item := range ordered {
		most := limit
		if !prefer(item).kept {
			most -= limit / keptShare
		}
		if held+len(in) < most {
			in = append(in, item)
		} else {
			out = append(out, item)
		}
	}
	return in, out
}

// preference orders items that compete for room: higher comes first.
type preference struct {
	kept     bool // it may take what is kept
	at       int64
	severity int
}

func (p preference) compare(q preference) int {
	if p.kept != q.kept {
		if p.kept {
			return 1
		}
		return -1
	}
	return cmp.Or(cmp.Compare(p.at, q.at), cmp.Compare(p.severity, q.severity))
}

// preference is that of an item of some plans: severe ones are preferred, then the newest.
func (w *desired) preference(owners []int) (p preference) {
	for _, i := range owners {
		p.at = max(p.at, w.plans[i].At.UnixMilli())
		p.severity = max(p.severity, w.plans[i].Severity)
	}
	p.kept = p.severity >= int(canon.High)
	return p
}

// fitObservables chooses the observables that a case with so many has room for: indicators first.
func (w *desired) fitObservables(need []desiredObservable, held, limit int) (in, out []desiredObservable) {
	return fit(need, held, limit, func(o desiredObservable) preference {
		p := w.preference(o.owners)
		p.kept = o.IOC
		return p
	})
}

// fitProcedures chooses the techniques that a case with so many has room for.
func (w *desired) fitProcedures(need []desiredProcedure, held, limit int) (in, out []desiredProcedure) {
	return fit(need, held, limit, func(p desiredProcedure) preference { return w.preference(p.owners) })
}

// fitTags chooses the tags that a case with these has room for. Forager's own always fit.
func (w *desired) fitTags(there []string, limit int) (in, out []desiredTag) {
	var others []desiredTag
	for _, t := range w.tags {
		if !slices.Contains(there, t.tag) && !ownTag(t.tag) {
			others = append(others, t)
		}
	}
	held := 0
	for _, tag := range there {
		if !ownTag(tag) {
			held++
		}
	}
	_, out = fit(others, held, limit-ownTags, func(t desiredTag) preference { return w.preference(t.owners) })
	left := map[string]bool{}
	for _, t := range out {
		left[t.tag] = true
	}
	for _, t := range w.tags {
		if !left[t.tag] && !slices.Contains(there, t.tag) {
			in = append(in, t)
		}
	}
	return in, out
}

// missingTags are those that neither the case has nor Forager ever wrote, within limits.
func (w *caseWork) missingTags() []desiredTag {
	in, out := w.desired.fitTags(w.body.Tags, w.a.options.Limits.Tags)
	before := len(w.desired.tags)
	for _, t := range out {
		if !slices.Contains(w.c.Tags, t.tag) {
			w.leaveOut(kindTag, t.tag)
		}
	}
	in = append(in, w.desired.tags[before:]...) // the tag that says so, which always fits
	return slices.DeleteFunc(in, func(t desiredTag) bool {
		return slices.Contains(w.c.Tags, t.tag) || slices.Contains(w.body.Tags, t.tag)
	})
}

// leaveOut counts, once, what a limit keeps out of the case; the case says so by a tag, and by the
// next comment.
func (w *caseWork) leaveOut(kind, item string) {
	full := desiredTag{tag: enrich.TagPrefix + "limit-" + kind, owners: []int{0}}
	if !slices.ContainsFunc(w.desired.tags, func(t desiredTag) bool { return t.tag == full.tag }) {
		w.desired.tags = append(w.desired.tags, full)
	}
	name := itemHash("left out", kind, item)[:8]
	if len(w.body.LeftItems) >= maxLeftOut || slices.Contains(w.body.LeftItems, name) {
		return
	}
	if w.body.LeftOut == nil {
		w.body.LeftOut = map[string]int{}
	}
	w.body.LeftItems = append(w.body.LeftItems, name)
	w.body.LeftOut[kind]++
	w.a.happened(EventOverLimit, w.c.Number, kind)
}

// leftOutWords says what limits kept out of a case; empty where they kept nothing.
func leftOutWords(left map[string]int) string {
	words := ""
	for _, kind := range slices.Sorted(maps.Keys(left)) {
		if words != "" {
			words += ", "
		}
		words += strconv.Itoa(left[kind]) + " of kind " + kind
	}
	if words == "" {
		return ""
	}
	return "Left out of this case, since it is full: at least " + words
}

// ownTag tells whether Forager gave a tag.
func ownTag(tag string) bool { return strings.HasPrefix(tag, enrich.TagPrefix) }
