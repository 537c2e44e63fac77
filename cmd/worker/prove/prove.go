package prove

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"forager/cmd/worker/terminal"
	"forager/config"
)

// Options says what is proven.
type Options struct {
	Since    time.Time          // messages stored before are not judged; zero is all
	Progress *terminal.Progress // is told how far it is; nil: nobody asks
}

// proof is what is known while a proof goes on.
type proof struct {
	options Options
	config  *config.Config
	place   place
	login   string
	held    map[string]bool // techniques that TheHive holds

	cases    []*theCase
	byNumber map[int]*theCase
	byID     map[string][]*theCase
	byTag    map[string][]*theCase
	byValue  map[string][]*theCase
	keyed    map[string][]*theCase // of texts that were looked for
	wants    map[*theCase]*wants

	letters map[uint64][]letter
	lines   map[uint64][]line
	begun   uint64 // the lowest sequence in the journal; 0 is without a journal
	seen    map[uint64]time.Time
	ids     map[string]int // how often an id came

	organisations []string
	dropped       []droppedID
	report        Report
}

// wants are what messages ask of a case.
type wants struct {
	messages int
	foreign  bool                      // by messages of another form than Forager's own, whose fields are not known
	mapped   bool                      // a technique is not there by its own id
	values   map[string]bool           // of observables
	times    map[int64]bool            // of detections, ms
	used     map[string]map[int64]bool // when techniques were used
}

// Prove proves, and changes nothing. Its error says what could not be read: then nothing was proven.
func Prove(ctx context.Context, c *config.Config, o Options) (Report, error) {
	ctx, refuse := context.WithCancelCause(ctx)
	defer refuse(nil)
	r, err := prove(ctx, c, o, refuse)
	if refused := context.Cause(ctx); err != nil && refused != nil && !errors.Is(err, refused) {
		return Report{}, fmt.Errorf("%w: %w", err, refused)
	}
	return r, err
}

func prove(ctx context.Context, c *config.Config, o Options, refused func(error)) (Report, error) {
	s, err := connect(c, refused)
	if err != nil {
		return Report{}, err
	}
	defer s.conn.Close()
	h, err := newHive(c.Hive)
	if err != nil {
		return Report{}, err
	}
	s.progress, h.progress = o.Progress, o.Progress
	p := &proof{options: o, config: c, organisations: organisationsOf(c), seen: map[uint64]time.Time{}, ids: map[string]int{}, keyed: map[string][]*theCase{}, wants: map[*theCase]*wants{}}
	if err := p.gather(ctx, s, h); err != nil {
		return Report{}, err
	}
	o.Progress.Step("reading messages", p.place.last-min(p.place.first, p.place.last))
	if err := s.each(ctx, c.NATS.Stream, p.place.filters, o.Since, p.place.last, p.message); err != nil {
		return Report{}, err
	}
	o.Progress.Wait("judging")
	p.judgeRecords()
	p.judgeCases()
	p.report.finish(p)
	return p.report, nil
}

// gather reads all but the messages. The consumer's place first: what was settled by then must be found, and what is
// read later may hold more.
func (p *proof) gather(ctx context.Context, s *streams, h *hive) (err error) {
	if p.place, err = s.place(ctx); err != nil {
		return err
	}
	p.options.Progress.Step("reading the journal", 0)
	if p.lines, err = s.journal(ctx); err != nil {
		return err
	}
	for sequence := range p.lines {
		if p.begun == 0 || sequence < p.begun {
			p.begun = sequence
		}
	}
	p.options.Progress.Step("reading dead letters", 0)
	letters, err := s.letters(ctx)
	if err != nil {
		return err
	}
	p.letters = map[uint64][]letter{}
	for _, l := range letters {
		p.letters[l.sequence] = append(p.letters[l.sequence], l)
	}
	p.options.Progress.Wait("asking TheHive")
	if p.login, err = h.login(ctx); err != nil {
		return err
	}
	if p.held, err = h.patterns(ctx); err != nil {
		return err
	}
	if p.cases, err = h.cases(ctx); err != nil {
		return err
	}
	alerts, err := h.alerts(ctx)
	if err != nil {
		return err
	}
	p.cases = append(p.cases, alerts...)
	taken, err := s.removals(ctx)
	if err != nil {
		return err
	}
	for _, c := range p.cases {
		c.removed = taken[c.ID]
	}
	p.index()
	return nil
}

// keyTag is the tag of a case by which it is found.
var keyTag = regexp.MustCompile(`^forager:[0-9a-f]{32}$`)

// index makes cases findable.
func (p *proof) index() {
	p.byNumber, p.byID, p.byTag, p.byValue = map[int]*theCase{}, map[string][]*theCase{}, map[string][]*theCase{}, map[string][]*theCase{}
	for _, c := range p.cases {
		if c.alert == "" {
			p.byNumber[c.Number] = c
		}
		for id := range c.ids {
			p.byID[id] = append(p.byID[id], c)
		}
		for _, t := range c.Tags {
			if keyTag.MatchString(t) {
				p.byTag[t] = append(p.byTag[t], c)
			}
		}
		for v := range c.values {
			p.byValue[v] = append(p.byValue[v], c)
		}
	}
}

// organisationsOf are those that keys may be hashed with.
func organisationsOf(c *config.Config) []string {
	all := []string{"", c.Hive.Organisation}
	for _, r := range c.Routes {
		all = append(all, r.Organisation)
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// whole tells whether the stream still has all that it ever had, so that an effect without a message is a fault.
func (p *proof) whole() bool { return p.place.first <= 1 && p.options.Since.IsZero() }

// mayDrop tells whether the configuration lets messages end without a trace.
func (p *proof) mayDrop() bool {
	return len(p.config.Silences) > 0 || len(p.config.Routes) > 0 || len(p.config.Rules.Files) > 0 || len(p.config.Formats.Directories) > 0
}
