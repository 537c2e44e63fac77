package detection

import (
	"cmp"
	"iter"
	"slices"
	"strings"

	"forager/enrich/detection/canon"
	"forager/enrich/detection/formats"
	"forager/enrich/detection/tree"
)

// manyObservables is the number from which on a map finds doubles faster than a look at each.
const manyObservables = 24

func (e *event) observables() {
	for i := range e.format.Own {
		if e.none(&e.format.Own[i]) {
			continue
		}
		e.scalars(&e.format.Own[i], func(s string) bool {
			for one := range canon.SplitList(s) {
				if a, ok := canon.ParseAddr(one); ok {
					e.own = append(e.own, a)
				}
			}
			return true
		})
	}
	for i := range e.format.Observables {
		o := &e.format.Observables[i]
		if e.mute(o) {
			if e.why && !o.Each.IsSet() {
				e.lostParts(o)
			}
			continue
		}
		if len(o.When) > 0 && !e.meets(o.When) {
			continue
		}
		e.observe(o)
	}
}

// mute tells quickly that a rule has nothing to read.
func (e *event) mute(o *formats.ObservableRule) bool {
	if o.Each.IsSet() {
		return e.none(&o.Each)
	}
	for i := range o.Join {
		if e.none(&o.Join[i]) {
			return true
		}
	}
	for i := range o.Path {
		if !e.none(&o.Path[i]) {
			return false
		}
	}
	return len(o.Join) == 0
}

func (e *event) observe(o *formats.ObservableRule) {
	if o.Reader == "typed" {
		e.each(&o.Each, func(n int32) bool {
			e.typed(o, n)
			return true
		})
		return
	}
	if len(o.Join) > 0 {
		before := len(e.det.Observables)
		e.joined(&o.Each, o.Join, o.Sep, func(s string) bool {
			e.take(o, o.Type, o.Join[0].Text, o.Prefix+s)
			return true
		})
		if e.why && !o.Each.IsSet() && len(e.det.Observables) == before {
			e.lostParts(o)
		}
		return
	}
	for i := range o.Path {
		p := &o.Path[i]
		if e.none(p) {
			continue
		}
		found := false
		e.scalars(p, func(s string) bool {
			if e.read(o, p.Text, s) {
				found = true
			}
			return true
		})
		if found && o.First {
			return
		}
	}
}

// lostParts tells of those of a join's parts that were there without the others.
func (e *event) lostParts(o *formats.ObservableRule) {
	for i := range o.Join {
		e.scalars(&o.Join[i], func(s string) bool {
			e.lost(o.Type, o.Join[i].Text, s, "nothing to join it with, or no value of this type")
			return true
		})
	}
}

// read gives a text to the rule's reader.
func (e *event) read(o *formats.ObservableRule, path, s string) bool {
	found := false
	take := func(dataType, s string) {
		if e.take(o, dataType, path, s) {
			found = true
		}
	}
	switch o.Reader {
	case "hashes":
		for sum := range canon.HashList(s) {
			take("hash", sum)
		}
	case "tuple":
		src, dst, ok := canon.Tuple(s)
		if !ok {
			if strings.Contains(s, "/") || strings.Contains(s, `\`) {
				take("filename", s)
			}
			break
		}
		take("ip", src)
		take("ip", dst)
	case "list":
		for one := range canon.SplitList(s) {
			take(o.Type, one)
		}
	default:
		if !canon.MayBeList(s) {
			take(o.Type, s)
			break
		}
		for one := range canon.ValuesIn(o.Type, s) {
			take(o.Type, one)
		}
	}
	if !found {
		e.lost(cmp.Or(o.Type, o.Reader), path, s, "no value of this type")
	}
	return found
}

// take adds the observable that a text is, if it is one of the type.
func (e *event) take(o *formats.ObservableRule, dataType, path, s string) bool {
	v, ok := canon.Canonical(dataType, s)
	if !ok {
		return false
	}
	e.add(v, path, Observable{Tags: o.Tags, IOC: o.IOC})
	return true
}

// typed reads an object that says what type its value is of. What does not hold for the type that
// the sender claims is kept as "other", tagged with the claim.
func (e *event) typed(o *formats.ObservableRule, n int32) {
	kind, s := tree.Fold(e.below(n, &o.Kind)), e.below(n, &o.Value)
	dataType, known := o.TypeOf(kind)
	if !known && o.Native {
		dataType, known = nativeType(kind, e.below(n, &o.Kind)), true
	}
	if !known {
		dataType = o.Type
	}
	if s == "" && o.Follow.IsSet() {
		e.follow(o, dataType, e.below(n, &o.Follow))
		return
	}
	if dataType == "" || dataType == "skip" || s == "" {
		return
	}
	extra := Observable{Tags: o.Tags, IOC: o.IOC}
	if o.Native {
		extra = e.nativeExtra(n)
	}
	for one := range typedValues(o, dataType, s) {
		v, ok := canon.Canonical(dataType, one)
		if !ok {
			if canon.IsJunk(strings.TrimSpace(one)) || !o.Native {
				e.lost(dataType, o.Each.Text+"."+o.Value.Text, one, "no value of this type")
				continue
			}
			v = canon.Value{DataType: "other", Data: canon.Line(one, len(one)), Tag: dataType}
		}
		e.add(v, o.Each.Text+"."+o.Value.Text, extra)
	}
}

// typedValues splits what some senders join ("1.2.3.4,5.6.7.8").
func typedValues(o *formats.ObservableRule, dataType, s string) iter.Seq[string] {
	if o.Sep == "" || !strings.Contains(s, o.Sep) {
		return canon.ValuesIn(dataType, s)
	}
	return strings.SplitSeq(s, o.Sep)
}

// nativeType is the type that a native event names, any that TheHive may have.
func nativeType(kind, asSent string) string {
	for _, t := range canon.BuiltinTypes {
		if tree.Fold(t) == kind {
			return t
		}
	}
	return canon.Line(strings.ToLower(asSent), 64)
}

// nativeExtra is what a native observable says besides type and value.
func (e *event) nativeExtra(n int32) Observable {
	var o Observable
	for c := e.Nodes[n].First; c != 0; c = e.Nodes[c].Next {
		switch tree.Fold(e.Nodes[c].Key) {
		case "tags":
			e.Leaves(c, func(t int32) bool {
				if s := canon.Line(e.TextOf(t), 128); s != "" && len(o.Tags) < e.limits.Tags && !slices.Contains(o.Tags, s) {
					o.Tags = append(o.Tags, s)
				}
				return true
			})
		case "message":
			o.Message = canon.Clean(e.TextOf(c), e.limits.Text)
		case "ioc":
			o.IOC = e.TextOf(c) == "true"
		}
	}
	return o
}

// follow reads the scalars of what an observable without a value names by its path in the event.
func (e *event) follow(o *formats.ObservableRule, dataType, path string) {
	steps, err := tree.ParsePath(strings.ReplaceAll(path, "[]", ""))
	if err != nil || len(steps) == 0 || len(steps) > 16 || dataType == "" || dataType == "skip" {
		return
	}
	e.Under(e.part.root, steps, false, func(n int32) bool {
		return e.Leaves(n, func(n int32) bool {
			if e.Nodes[n].Kind != tree.Object {
				e.take(o, dataType, path, e.TextOf(n))
			}
			return true
		})
	})
}

// add merges an observable into the detection: roles of the same value become its tags.
func (e *event) add(v canon.Value, path string, extra Observable) {
	if len(v.Data) > e.policy.maxBytes {
		e.lost(v.DataType, path, v.Data, "too long")
		e.det.leaveOut("long observables", 1)
		return
	}
	decision := e.policy.judge(v, e.own)
	if decision == canon.LeaveOut {
		e.lost(v.DataType, path, v.Data, "of nobody, of the reporter, or on a list")
		return
	}
	v = e.policy.typed(v)
	if i := e.find(v); i >= 0 {
		if i < len(e.det.Observables) {
			e.det.Observables[i].merge(extra, v.Tag)
		}
		return
	}
	if len(e.det.Observables) >= e.limits.Observables {
		e.remember(v, len(e.det.Observables))
		e.lost(v.DataType, path, v.Data, "over the limit")
		e.det.leaveOut("observables", 1)
		return
	}
	o := Observable{DataType: v.DataType, Data: strings.Clone(v.Data), Message: extra.Message, IgnoreSimilarity: decision == canon.KeepQuietly}
	o.merge(extra, v.Tag)
	e.det.Observables = append(e.det.Observables, o)
	e.remember(v, len(e.det.Observables)-1)
	e.note(v.DataType, path, v.Data)
}

// find is the place of an observable, -1 where it is new.
func (e *event) find(v canon.Value) int {
	if e.seen != nil {
		if i, ok := e.seen[v.DataType+"\x00"+v.Data]; ok {
			return i
		}
		return -1
	}
	return slices.IndexFunc(e.det.Observables, func(o Observable) bool { return o.DataType == v.DataType && o.Data == v.Data })
}

func (e *event) remember(v canon.Value, i int) {
	if e.seen == nil {
		if len(e.det.Observables) < min(manyObservables, e.limits.Observables) {
			return
		}
		e.seen = make(map[string]int, 2*manyObservables)
		for j, o := range e.det.Observables {
			e.seen[o.DataType+"\x00"+o.Data] = j
		}
	}
	e.seen[v.DataType+"\x00"+v.Data] = i
}

// merge adds what another mention of the observable says.
func (o *Observable) merge(other Observable, tag string) {
	for _, t := range append([]string{tag}, other.Tags...) {
		if t != "" && !slices.Contains(o.Tags, t) {
			o.Tags = append(o.Tags, t)
		}
	}
	o.IOC = o.IOC || other.IOC
	if o.Message == "" {
		o.Message = other.Message
	}
}

func (d *Detection) leaveOut(what string, n int) {
	if d.LeftOut == nil {
		d.LeftOut = map[string]int{}
	}
	d.LeftOut[what] += n
}
