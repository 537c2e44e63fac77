package mitre

import (
	"slices"
	"strings"
)

// Resolve tells which techniques a text means: a value of a field that is
// known to hold techniques, in any of the spellings that tools write. Ids win
// over names that stand beside them. A canonical id costs one map look-up and
// no allocation.
func (c *Catalogue) Resolve(ref string, h Hint) Resolution {
	if n := c.byID[ref]; n != nil {
		return Resolution{IDs: n.self[:1:1]}
	}
	r := resolver{c: c, wish: wish{hint: h}}
	text := strings.TrimSpace(ref)
	if len(text) > MaxText {
		text = cutText(text)
		r.note("longer than 16 KiB, the rest is not read")
	}
	array := strings.HasPrefix(text, "[") || strings.HasPrefix(text, "{")
	for text != "" {
		var item string
		item, text = nextItem(text, array)
		r.item(item)
	}
	if len(r.out.IDs) > 0 {
		r.out.Reason = ReasonNone
	} else if r.out.Reason == ReasonNone {
		r.out.Reason = ReasonEmpty
	}
	return r.out
}

// cutText shortens a text to what is read, between two words where it can.
func cutText(s string) string {
	s = s[:MaxText]
	if i := strings.LastIndexAny(s, " ,;|\n\""); i > 0 {
		return s[:i]
	}
	return s
}

// A resolver gathers what the items of one text mean.
type resolver struct {
	c    *Catalogue
	wish wish
	out  Resolution
}

// item reads one item: the ids in it, else the names.
func (r *resolver) item(s string) {
	ids, taken, path := len(r.out.IDs), 0, false
	previous, seen := -1, false
	for start, end := nextID(s, 0); start >= 0; start, end = nextID(s, end) {
		seen = true
		if inPath(s, start, previous) {
			path = true
			continue
		}
		previous = end
		if r.id(s[start:end]) {
			taken++
		}
	}
	if path && taken == 0 {
		r.reason(ReasonPath)
		return
	}
	rest := 0
	for seen {
		start, end := nextID(s, rest)
		if start < 0 {
			break
		}
		r.words(s[rest:start], taken > 0, ids)
		rest = end
	}
	r.words(s[rest:], taken > 0, ids)
}

// id takes one id, in any spelling, and reports whether it names a technique.
func (r *resolver) id(s string) bool {
	var buf [9]byte
	id := canonical(&buf, s)
	if n := r.c.byID[string(id)]; n != nil {
		r.take(n)
		return true
	}
	if r.c.byID[string(id[:5])] != nil { // a sub-technique of a release newer than all here
		r.takeID(string(id))
		r.note(string(id) + " is in no release known here")
		return true
	}
	if len(r.out.Unknown) < MaxIDs && !slices.Contains(r.out.Unknown, string(id)) {
		r.out.Unknown = append(r.out.Unknown, string(id))
	}
	r.reason(ReasonUnknown)
	return false
}

func (r *resolver) take(n *node) {
	if len(r.out.IDs) == 0 {
		r.out.IDs = n.self[:1:1]
		return
	}
	r.takeID(n.id)
}

func (r *resolver) takeID(id string) {
	if slices.Contains(r.out.IDs, id) {
		return
	}
	if len(r.out.IDs) >= MaxIDs {
		r.note("more than 100 techniques, the rest is left out")
		return
	}
	r.out.IDs = append(r.out.IDs, id)
}

// words reads the words around ids, or an item without any. Beside an id they
// name tactics, and may contradict it; else they name techniques.
func (r *resolver) words(s string, beside bool, from int) {
	if !beside && strings.IndexByte(s, ',') >= 0 && r.name(s) {
		return
	}
	for s != "" {
		var part string
		part, s, _ = strings.Cut(s, ",")
		part = trim(part)
		switch {
		case part == "":
		case beside:
			r.compare(part, from)
		default:
			r.word(part)
		}
	}
}

// word reads a part of a list that holds no id.
func (r *resolver) word(s string) {
	var buf [maxName]byte
	if r.tacticOf(s, foldTo(&buf, afterKey(s))) {
		r.reason(ReasonTactic)
		return
	}
	if !r.name(s) {
		r.reason(address(s))
	}
}

// tacticOf takes the tactic that a part names.
func (r *resolver) tacticOf(s string, folded []byte) bool {
	short, ok := r.c.tacticIn(s, folded)
	if ok && !slices.Contains(r.out.Tactics, short) { // bounded: there are few short names
		r.out.Tactics = append(r.out.Tactics, short)
	}
	return ok
}

// name takes the technique of a name, "Name" or "Parent: Name". An ambiguous
// name is dealt with, too: it reports whether anybody bears the name.
func (r *resolver) name(s string) bool {
	var buf [maxName]byte
	value := afterKey(s)
	folded := foldTo(&buf, value)
	if r.wish.hint.Tags && len(value) == len(s) && cutPrefix(folded) == nil {
		return false
	}
	n, count := r.c.byName(folded, &r.wish)
	if parent, sub, both := strings.Cut(value, ":"); count == 0 && both {
		here := r.wish
		here.from(r.c)
		here.parents = r.c.Resolve(strings.TrimSpace(parent), Hint{}).IDs
		n, count = r.c.byName(foldTo(&buf, sub), &here)
	}
	switch {
	case n != nil:
		r.take(n)
	case count > 1:
		r.reason(ReasonAmbiguous)
	}
	return count > 0
}

// compare notes when words beside ids name another technique than those.
func (r *resolver) compare(s string, from int) {
	var buf [maxName]byte
	value := afterKey(s)
	folded := foldTo(&buf, value)
	if len(folded) < 2 || string(folded) == "attack" || r.tacticOf(s, folded) { // what is left of "attack.t1059"
		return
	}
	if _, sub, both := strings.Cut(value, ":"); both {
		folded = foldTo(&buf, sub)
	}
	who := r.c.names[string(folded)]
	if who == nil || slices.ContainsFunc(r.out.IDs, func(id string) bool { return r.agrees(id, who) }) {
		return
	}
	id := r.out.IDs[min(from, len(r.out.IDs)-1)] // the item's first, or one that was there before
	r.note(id + " taken, the name beside it is that of " + who.current[0].id)
}

// agrees reports whether a name's bearers are the technique, its like in
// another release, or its parent.
func (r *resolver) agrees(id string, who *named) bool {
	key := r.c.LineageKey(id)
	return slices.ContainsFunc(who.all, func(n *node) bool { return n.order[0].id == key || parentOf(id) == n.id })
}

// reason keeps the most telling reason.
func (r *resolver) reason(why Reason) {
	if why.rank() > r.out.Reason.rank() {
		r.out.Reason = why
	}
}

// note appends a sentence once, up to a bound.
func (r *resolver) note(s string) {
	switch {
	case r.out.Note == "":
		r.out.Note = s
	case len(r.out.Note) < 500 && !strings.Contains(r.out.Note, s):
		r.out.Note += "; " + s
	}
}

// address classifies words that name nothing: ATT&CK's pages about software
// and groups have an address, too.
func address(s string) Reason {
	for _, p := range [...]string{"/software/", "/groups/", "/campaigns/", "/mitigations/", "/datasources/"} {
		if strings.Contains(s, "attack.mitre.org"+p) {
			return ReasonObject
		}
	}
	return shape(s)
}
