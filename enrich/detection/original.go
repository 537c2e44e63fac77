package detection

import (
	"strings"
	"sync"
)

// Original is the event that a detection was read from, as it was sent. It is read again when somebody asks, from
// the message that is held anyway, so that a detection that waits carries no copy of it. Safe for concurrent use.
type Original struct {
	message *original
	index   int // of the events that were read of the message
}

// original is a message whose events can be asked for.
type original struct {
	decoder *Decoder
	message Message

	mu  sync.Mutex
	all []Said // once somebody asked for all
}

// Said is what an event says, without what is redacted (see [Options].Redact).
type Said struct {
	// Text is the event: JSON in lines of its own, or the line that the product sent.
	Text string
	// JSON tells which of the two.
	JSON bool
	// Whole is false where the text was cut at MaxOriginal bytes.
	Whole bool
	// Fields are the scalars of the event by path, "a.b.c" as written: string, int64, float64, bool, or a list of these.
	Fields map[string]any
}

// Bounds of what is said of an event.
const (
	MaxOriginal = 16 << 10 // bytes of its text
	maxFlat     = 10_000   // scalars among its fields
)

// Read reads the event again; zero where the detection was not decoded.
func (o *Original) Read() Said {
	if o == nil {
		return Said{}
	}
	o.message.mu.Lock()
	known := o.message.all
	o.message.mu.Unlock()
	if known == nil {
		known = o.message.decoder.say(o.message.message, o.index)
		return said(known, 0)
	}
	return said(known, o.index)
}

// ReadAll is Read for those who ask for every event of a message: it reads the message once.
func (o *Original) ReadAll() Said {
	if o == nil {
		return Said{}
	}
	o.message.mu.Lock()
	defer o.message.mu.Unlock()
	if o.message.all == nil {
		o.message.all = o.message.decoder.say(o.message.message, -1)
	}
	return said(o.message.all, o.index)
}

func said(all []Said, i int) Said {
	if i >= len(all) {
		return Said{}
	}
	return all[i]
}

// say reads the events of a message for what they say; one of them, or all where only is negative.
func (d *Decoder) say(m Message, only int) []Said {
	t := &telling{only: only, lines: map[int32]string{}}
	_, _ = d.decode(m, t) // it was read before
	return t.said
}

// telling collects what events say while a message is read.
type telling struct {
	only  int              // index of the one event that is asked for; negative is all
	lines map[int32]string // the lines that records were made of
	said  []Said
}

// tell notes what the event at n says.
func (r *reading) tell(n int32, index int) {
	if r.telling.only >= 0 && r.telling.only != index {
		return
	}
	s := Said{Fields: r.Flat(n, maxFlat, r.redact.hides(r.Tree))}
	if line, is := r.telling.lines[n]; is {
		s.Text, s.Whole = r.redact.line(line), len(line) <= MaxOriginal
		if !s.Whole {
			s.Text = strings.ToValidUTF8(s.Text[:min(len(s.Text), MaxOriginal)], "") + "…"
		}
	} else {
		s.Text, s.Whole = r.Indented(n, MaxOriginal, r.redact.hides(r.Tree))
		s.JSON = true
	}
	r.telling.said = append(r.telling.said, s)
}
