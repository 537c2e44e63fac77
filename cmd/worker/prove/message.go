package prove

import (
	"cmp"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"time"
)

// message judges one message.
func (p *proof) message(m stored) error {
	p.seen[m.sequence] = m.at
	p.report.Messages++
	settled, waited := parted(p.settlements(m))
	letters := slices.DeleteFunc(slices.Clone(p.letters[m.sequence]), func(l letter) bool { return !l.stored.Equal(m.at) })
	switch {
	case len(settled) == 0 && len(letters) == 0 && m.sequence > p.place.floor:
		p.report.Waiting++
	case len(settled) > 0:
		p.bySettlement(m, settled[0], letters)
	case waited && len(letters) == 0:
		p.report.Waiting++
	case len(letters) > 0:
		p.report.DeadLetters++
	default:
		p.byEffects(m, line{})
	}
	p.judgeLetters(m, letters)
	return nil
}

// settlements are the journal's lines of a message; what is wrong with them is a fault.
func (p *proof) settlements(m stored) []line {
	lines := slices.DeleteFunc(slices.Clone(p.lines[m.sequence]), func(l line) bool { return !l.Stored.Equal(m.at) })
	if len(lines) == 0 && p.begun > 0 && m.sequence >= p.begun && m.sequence <= p.place.floor {
		p.fault(Fault{Kind: LineMissing, Sequence: m.sequence, What: "it is settled, and the journal has no line of it"})
	}
	digest := digestOf(m.body)
	for _, l := range lines {
		if l.Digest != digest {
			p.fault(Fault{Kind: LineAltered, Sequence: m.sequence, What: "the journal has digest " + l.Digest + ", the message " + digest})
		}
		if !slices.ContainsFunc(lines, waits) && l.Outcome != lines[0].Outcome {
			p.fault(Fault{Kind: LineContradicts, Sequence: m.sequence, What: "the journal says " + lines[0].Outcome + ", and " + l.Outcome})
		}
	}
	return lines
}

// outcomes as the journal names them.
const (
	acknowledged = "acknowledged"
	dropped      = "dropped"
	deadLetter   = "dead letter"
	held         = "waits" // below a threshold: another line tells what became of that
)

func waits(l line) bool { return l.Outcome == held }

// parted are the lines that say what became of a message, what is in a case first, and whether some of it waited below a threshold. Of
// such a message a line may be of some detections alone.
func parted(lines []line) (ends []line, waited bool) {
	ends = slices.DeleteFunc(slices.Clone(lines), waits)
	waited = len(ends) < len(lines)
	inCases := waited && slices.ContainsFunc(lines, func(l line) bool { return waits(l) && l.Plans > 0 && len(l.Cases) > 0 })
	if i := slices.IndexFunc(ends, func(l line) bool { return l.Outcome == acknowledged }); i > 0 {
		ends[0], ends[i] = ends[i], ends[0]
	}
	if len(ends) > 0 && (inCases || len(ends) > 1) {
		ends[0].part = true
		if inCases {
			ends[0].Outcome = acknowledged
		}
		for _, l := range lines {
			ends[0].Cases = append(slices.Clip(ends[0].Cases), l.Cases...)
		}
	}
	return ends, waited
}

// bySettlement judges a message of which the journal says what became of it.
func (p *proof) bySettlement(m stored, l line, letters []letter) {
	switch l.Outcome {
	case dropped:
		p.report.Dropped++
		p.report.reason(l.Reason)
		for _, o := range read(m.body).own {
			if named := p.byID[markedAs(o.id())]; len(named) > 0 {
				p.dropped = append(p.dropped, droppedID{m.sequence, o.id(), named[0].Number})
			}
		}
		p.count(m)
	case deadLetter:
		p.report.DeadLetters++
		if len(letters) == 0 {
			p.fault(Fault{Kind: LetterMissing, Sequence: m.sequence, What: "the journal says dead letter (" + l.Reason + "), and there is none: unless somebody requeued or purged it, it is lost"})
		}
	default:
		p.byEffects(m, l)
	}
}

// count notes the ids of a message.
func (p *proof) count(m stored) {
	for _, o := range read(m.body).own {
		p.ids[o.id()]++
	}
}

// judgeLetters judges the dead letters of a message.
func (p *proof) judgeLetters(m stored, letters []letter) {
	if len(letters) > 1 {
		p.fault(Fault{Kind: LetterDoubled, Sequence: m.sequence, What: fmt.Sprintf("%d dead letters", len(letters))})
	}
	for _, l := range letters {
		if l.digest != digestOf(m.body) {
			p.fault(Fault{Kind: LetterAltered, Sequence: m.sequence, What: fmt.Sprintf("dead letter %d has another body", l.number)})
		}
	}
}

// byEffects looks for what a message brought about.
func (p *proof) byEffects(m stored, l line) {
	e := read(m.body)
	var from []*theCase
	for _, number := range l.Cases {
		c := p.byNumber[number]
		if c == nil {
			p.fault(Fault{Kind: CaseMissing, Sequence: m.sequence, Case: number, What: "the journal says that it is in this case, and TheHive shows none of Forager's of this number"})
			return
		}
		from = append(from, c)
	}
	if len(from) == 0 {
		from = p.candidates(e)
	}
	if len(from) == 0 {
		p.notFound(m, e, l)
		return
	}
	if from[0].alert == "" {
		p.report.InCases++
	} else {
		p.report.InAlerts++
	}
	if e.own == nil || l.part {
		p.foreign(e, from, l)
		return
	}
	for _, o := range e.own {
		p.ids[o.id()]++
		p.detection(m, o, from)
	}
}

// notFound judges a message without a case. Without a line in the journal an event whose form is not known may have been dropped by its
// format, or be in the case of a key that its format makes.
func (p *proof) notFound(m stored, e event, l line) {
	if l.Outcome == "" && (e.own == nil || p.mayDrop()) {
		p.report.Unaccounted++
		return
	}
	p.fault(Fault{Kind: Lost, Sequence: m.sequence, What: fmt.Sprintf("stored %s on %s, digest %s, is settled, and in no case, no alert, no dead letter", m.at.UTC().Format(time.RFC3339), m.subject, digestOf(m.body))})
}

// candidates are the cases that a message may be in.
func (p *proof) candidates(e event) (all []*theCase) {
	for _, text := range e.texts {
		for _, c := range p.casesOf(text) {
			if !slices.Contains(all, c) {
				all = append(all, c)
			}
		}
	}
	return all
}

// mostKeyed bounds what is remembered of texts.
const mostKeyed = 1 << 20

// casesOf are the cases that name a text, or have it as key.
func (p *proof) casesOf(text string) []*theCase {
	if all, known := p.keyed[text]; known {
		return all
	}
	all := slices.Clone(p.byID[markedAs(text)])
	if more := p.byID[text]; text != markedAs(text) {
		all = append(all, more...)
	}
	for _, tag := range keysOf(text, p.organisations) {
		all = append(all, p.byTag[tag]...)
	}
	if len(p.keyed) < mostKeyed {
		p.keyed[text] = all
	}
	return all
}

// want is what is asked of a case.
func (p *proof) want(c *theCase) *wants {
	w := p.wants[c]
	if w == nil {
		w = &wants{values: map[string]bool{}, times: map[int64]bool{}, used: map[string]map[int64]bool{}}
		p.wants[c] = w
	}
	w.messages++
	return w
}

// foreign judges a message whose fields are not known: a case names it, holds a value of it, or is the case of its key.
func (p *proof) foreign(e event, from []*theCase, l line) {
	for _, c := range from {
		p.want(c).foreign = true
	}
	for _, c := range from {
		if slices.ContainsFunc(e.texts, func(t string) bool { return c.values[folded(t)] || c.ids[markedAs(t)] || c.ids[t] }) {
			return
		}
	}
	if len(l.Cases) == 0 {
		p.report.ByKey++
		return
	}
	p.report.ByJournal++
}

// detection judges a detection in Forager's own form: everything of it is in one case.
func (p *proof) detection(m stored, o own, from []*theCase) {
	best := slices.MinFunc(from, func(a, b *theCase) int {
		return cmp.Or(
			cmp.Compare(p.lacks(o, a), p.lacks(o, b)),
			cmp.Compare(unnamed(o, a), unnamed(o, b)),
			cmp.Compare(distance(o, a), distance(o, b)),
			cmp.Compare(a.Number, b.Number),
		)
	})
	w := p.want(best)
	at, timed := o.at()
	if timed {
		w.times[at.UnixMilli()] = true
	} else {
		w.foreign = true
	}
	for _, v := range o.Observables {
		w.values[folded(v.Data)] = true
	}
	for _, t := range o.Techniques {
		id := strings.ToUpper(t.ID)
		w.mapped = w.mapped || !has(best, id)
		if w.used[id] == nil {
			w.used[id] = map[int64]bool{}
		}
		w.used[id][at.UnixMilli()] = true
	}
	missing, taken := p.missing(o, best)
	p.report.Removed += taken
	for _, what := range missing {
		p.fault(Fault{Kind: EffectMissing, Sequence: m.sequence, Case: best.Number, What: best.said(what + " of " + o.id() + " is not there")})
	}
}

// lacks is how much of a detection a case has not, whoever took it away.
func (p *proof) lacks(o own, c *theCase) int {
	missing, taken := p.missing(o, c)
	return len(missing) + taken
}

// missing is what a case lacks of a detection, and how much more an analyst took away.
func (p *proof) missing(o own, c *theCase) (all []string, taken int) {
	if c.limited || len(p.config.AllowLists) > 0 {
		return nil, 0
	}
	lacks := func(what string, removed bool) {
		if removed {
			taken++
			return
		}
		all = append(all, what)
	}
	for _, v := range o.Observables {
		if v.Data != "" && !c.values[folded(v.Data)] {
			lacks(v.Type+" "+v.Data, c.removed.observable(v))
		}
	}
	for _, t := range o.Techniques {
		id := strings.ToUpper(t.ID)
		parent, _, _ := strings.Cut(id, ".")
		if p.held[id] && !has(c, id) || !p.held[id] && p.held[parent] && !has(c, parent) && !has(c, id) && len(c.procedures) == 0 {
			lacks("technique "+t.ID, c.removed.technique(id) || !p.held[id] && c.removed.technique(parent))
		}
	}
	return all, taken
}

// observable tells whether an analyst took an observable away: the ledger names it by half a SHA-256, in base64, over type and data as
// Forager wrote them.
func (r removed) observable(v value) bool {
	for _, data := range []string{v.Data, folded(v.Data)} {
		sum := sha256.Sum256([]byte("observable\x00" + v.Type + "\x00" + data))
		if r[[2]string{"observable", base64.RawURLEncoding.EncodeToString(sum[:16])}] {
			return true
		}
	}
	return false
}

// technique tells whether an analyst took a technique away: the ledger names id and tactic.
func (r removed) technique(id string) bool {
	for item := range r {
		if item[0] == "procedure" && strings.HasPrefix(item[1], id+"/") {
			return true
		}
	}
	return false
}

func has(c *theCase, technique string) bool {
	return slices.ContainsFunc(c.procedures, func(p procedure) bool { return p.Pattern == technique })
}

// unnamed is 1 for a case that does not name a detection.
func unnamed(o own, c *theCase) int {
	if c.ids[markedAs(o.id())] || c.ids[o.id()] {
		return 0
	}
	return 1
}

// distance is how far a detection lies from the begin of a case; cases that began later come last.
func distance(o own, c *theCase) int64 {
	at, ok := o.at()
	d := at.UnixMilli() - c.Start
	if !ok || d < 0 {
		return 1<<62 - d/2
	}
	return d
}
