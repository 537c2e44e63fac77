package page

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"hash/maphash"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	g "maragu.dev/gomponents"
)

// Bounds of streams.
const (
	MostViewers = 32
	StreamFor   = 10 * time.Minute // then the browser asks again
	Every       = 2 * time.Second
	crowded     = 3 * Every        // between two makings of the rows while none of them stays: nobody reads faster
	sendWithin  = 10 * time.Second // a viewer that takes longer is let go
)

// part is a piece of the page that changes, as it is sent.
type part struct {
	name string
	line []byte // the event, whole
	sum  uint64

	from uint64 // what a viewer must have for more to be enough
	more []byte // an event with what is new alone; nil: there is none
}

// parts makes them, once for all viewers.
type parts struct {
	source Source
	seed   maphash.Seed

	mu   sync.Mutex
	made time.Time
	last []part

	newest uint64    // of the rows as they were made last
	rowsAt time.Time // and when that was
	rows   map[rowKey]g.Node
	html   bytes.Buffer // of the part at hand
}

// rowKey is what a row is made of, as far as two differ: a message that comes again is settled at another time.
type rowKey struct {
	sequence       uint64
	at             time.Time
	outcome, title string
}

func newParts(s Source) *parts { return &parts{source: s, seed: maphash.MakeSeed()} }

// now are the parts, no older than Every.
func (p *parts) now(ctx context.Context) []part {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Since(p.made) < Every-Every/10 {
		return p.last
	}
	s := p.source.Snapshot(ctx)
	before, busy := p.last, p.crowded(s.Recent)
	p.last = nil
	for i, one := range live(s) {
		switch {
		case one.name != liveRecent:
			p.last = append(p.last, p.part(one.name, one.make()))
		case len(s.Recent) == 0:
			p.last, p.rows = append(p.last, p.part(one.name, one.make())), nil
		case busy && len(before) > 0:
			p.last = append(p.last, before[i])
		default:
			p.last = append(p.last, p.recent(s.Recent, before))
		}
	}
	p.made = time.Now()
	return p.last
}

// recent are the rows. They are most of what the parts cost: one that was there at the last look is not made again, and a
// viewer who has it does not get it again.
func (p *parts) recent(all []Row, before []part) part {
	shown, made := make(g.Group, 0, len(all)), make(map[rowKey]g.Node, len(all))
	change := changedRows{Order: make([]uint64, 0, len(all)), Rows: map[uint64]string{}}
	for _, r := range all {
		key := rowKey{r.Sequence, r.At, r.Outcome, r.Title}
		node, known := p.rows[key]
		if !known {
			var b strings.Builder
			_ = messageRow(r).Render(&b) // a builder takes all
			node = g.Raw(b.String())
			change.Rows[r.Sequence] = b.String()
		}
		made[key] = node
		shown = append(shown, node)
		change.Order = append(change.Order, r.Sequence)
	}
	whole := p.part(liveRecent, shown)
	if i := slices.IndexFunc(before, func(b part) bool { return b.name == liveRecent }); i >= 0 && len(p.rows) > 0 && len(made) == len(all) {
		whole.from, whole.more = before[i].sum, event("live-rows", change)
	}
	p.rows = made
	return whole
}

// changedRows are the rows by their messages, and those of them that a viewer does not have yet.
type changedRows struct {
	Order []uint64          `json:"order"`
	Rows  map[uint64]string `json:"rows"`
}

// crowded tells whether the rows are all new, and were so a moment ago.
func (p *parts) crowded(all []Row) bool {
	stays := slices.ContainsFunc(all, func(r Row) bool { return r.Sequence == p.newest })
	if len(all) > 0 && p.newest != 0 && !stays && time.Since(p.rowsAt) < crowded-Every/10 {
		return true
	}
	p.rowsAt, p.newest = time.Now(), 0
	if len(all) > 0 {
		p.newest = all[0].Sequence
	}
	return false
}

// part renders one.
func (p *parts) part(name string, node g.Node) part {
	p.html.Reset()
	_ = node.Render(&p.html) // a buffer takes all
	return part{name: name, line: event(name, p.html.String()), sum: maphash.Bytes(p.seed, p.html.Bytes())}
}

// event is one of a stream: JSON keeps what is in it from ending a line.
func event(name string, data any) []byte {
	var line bytes.Buffer
	line.WriteString("event: " + name + "\ndata: ")
	out := json.NewEncoder(&line)
	out.SetEscapeHTML(false)
	_ = out.Encode(data) // texts and numbers; it ends in a newline
	line.WriteByte('\n')
	return line.Bytes()
}

// events sends the parts that changed until the viewer leaves or the time is over.
func (s *site) events(w http.ResponseWriter, r *http.Request) {
	select {
	case s.streams <- struct{}{}:
		defer func() { <-s.streams }()
	default:
		w.Header().Set("Retry-After", "30")
		refuse(w, http.StatusServiceUnavailable, "as many look as may")
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), StreamFor)
	defer cancel()
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("X-Accel-Buffering", "no")
	to := http.NewResponseController(w)
	_ = to.SetReadDeadline(time.Time{}) // else the server's own ends the stream; where there is none to set, there is none
	tick := time.NewTicker(Every)
	defer tick.Stop()
	for sent := map[string]uint64{}; ; {
		if !s.update(ctx, w, to, sent) {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// update sends what is new to a viewer, and tells whether the viewer is there.
func (s *site) update(ctx context.Context, w http.ResponseWriter, to *http.ResponseController, sent map[string]uint64) bool {
	if err := to.SetWriteDeadline(time.Now().Add(sendWithin)); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return false
	}
	for _, p := range s.parts.now(ctx) {
		sum, known := sent[p.name]
		line := p.line
		switch {
		case known && sum == p.sum:
			continue
		case known && p.more != nil && sum == p.from:
			line = p.more
		}
		if _, err := w.Write(line); err != nil {
			return false
		}
		sent[p.name] = p.sum
	}
	_, err := w.Write([]byte(": here\n\n"))
	return err == nil && to.Flush() == nil
}
