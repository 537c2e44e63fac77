package simulation

import (
	"context"
	"crypto/sha256"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"forager/hive/hivetest"
	"forager/pipeline/deadletter"
)

// judge holds TheHive and the dead letters against the book. It reads both without any code of the worker that wrote
// them, but for the dead letters' envelope.
func (p *play) judge(ctx context.Context) {
	cases := map[*span]map[int64]hivetest.Case{}
	where := map[string][]int64{}
	for _, c := range p.hive.Snapshot().Cases {
		owners := map[*span]bool{}
		old := false
		for _, o := range c.Observables {
			d := p.book.byIP[o.Data]
			if d == nil {
				continue
			}
			where[o.Data] = append(where[o.Data], c.Number)
			if d.shift != p.shift {
				old = true
				continue
			}
			owners[p.book.of(d)] = true
		}
		if old && len(owners) > 0 {
			p.found("case %d has detections of two shifts", c.Number)
		}
		if !old && len(owners) == 0 {
			p.found("case %d, %q, is of nothing that was forwarded", c.Number, c.Title)
		}
		if len(owners) > 1 {
			p.found("case %d has detections of several cases: %s", c.Number, p.names(owners))
		}
		for s := range owners {
			if cases[s] == nil {
				cases[s] = map[int64]hivetest.Case{}
			}
			cases[s][c.Number] = c
		}
	}
	p.judgeDetections(where)
	for s, all := range cases {
		if len(all) > 1 && !s.open {
			p.found("%s has %d cases: %v", p.book.hostsOf(s), len(all), slices.Sorted(maps.Keys(all)))
		}
		for _, c := range all {
			p.judgeCase(s, c)
		}
	}
	p.judgeLetters(ctx)
	p.judgeWords()
}

// broken are what a worker says when a part of it did not keep its contract with another: no fault excuses that.
var broken = regexp.MustCompile(`panic|another number of results`)

// judgeWords: the worker's own parts keep their contracts.
func (p *play) judgeWords() {
	p.log.mu.Lock()
	defer p.log.mu.Unlock()
	for ; p.heard < len(p.log.lines); p.heard++ {
		if line := p.log.lines[p.heard]; broken.MatchString(line) {
			p.found("a replica says %s", strings.TrimSpace(line))
		}
	}
}

func (p *play) names(spans map[*span]bool) string {
	var all []string
	for s := range spans {
		all = append(all, p.book.hostsOf(s))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// judgeDetections: each is in one case, or in none where its case is deleted.
func (p *play) judgeDetections(where map[string][]int64) {
	for _, d := range p.book.all {
		if d.shift != p.shift {
			continue
		}
		switch s, in := p.book.of(d), where[d.ip]; {
		case s.deleted && !s.open && len(in) > 0:
			p.found("%s (%s) of the deleted case of %s is in case %v", d.event.ID, d.ip, p.book.hostsOf(s), in)
		case !s.deleted && len(in) == 0:
			p.found("%s (%s) of %s is lost", d.event.ID, d.ip, p.book.hostsOf(s))
		case len(in) > 1:
			p.found("%s (%s) of %s is doubled: cases %v", d.event.ID, d.ip, p.book.hostsOf(s), in)
		}
	}
}

var noted = regexp.MustCompile(`forager: rule=([0-9a-f]+)`)

// itemsOf says how often a case has what it may have once.
func itemsOf(c hivetest.Case) map[string]int {
	counts := map[string]int{}
	for _, o := range c.Observables {
		counts[o.DataType+" "+o.Data]++
	}
	for _, o := range c.Procedures {
		counts["procedure "+o.PatternID]++
	}
	for _, text := range append([]string{c.Description}, c.Comments...) {
		for _, m := range noted.FindAllStringSubmatch(text, -1) {
			counts["note of rule "+m[1]]++
		}
	}
	for _, page := range c.Pages {
		counts["page "+page.Title]++
	}
	for _, j := range c.Jobs {
		counts["job "+j.Analyzer+" of "+j.DataType+" "+j.Data]++
	}
	return counts
}

// judgeCase: what is in a case is there once, what was removed is not, and what must be there is.
func (p *play) judgeCase(s *span, c hivetest.Case) {
	counts := itemsOf(c)
	for item, n := range counts {
		most := s.sources // a merge keeps what both had, but for observables
		if strings.HasPrefix(item, "ip ") || strings.HasPrefix(item, "fqdn ") {
			most = 1
		}
		if n > most {
			p.found("case %d of %s has %s %d times", c.Number, p.book.hostsOf(s), item, n)
		}
	}
	if s.open {
		return
	}
	severity := 0
	for _, d := range p.book.all {
		if d.shift != p.shift || p.book.of(d) != s {
			continue
		}
		severity = max(severity, d.event.severity())
		want := []string{"procedure " + d.event.technique()}
		if d.event.Form == 0 {
			want = append(want, "fqdn "+shared(d.event.Which))
		}
		for _, item := range want {
			switch {
			case s.free[item]:
			case s.taken[item] && counts[item] > 0:
				p.found("case %d of %s has %s again, which an analyst removed", c.Number, p.book.hostsOf(s), item)
			case !s.taken[item] && counts[item] == 0 && s.sources == 1:
				p.found("case %d of %s lacks %s of %s", c.Number, p.book.hostsOf(s), item, d.event.ID)
			}
		}
	}
	if p.plan.Analyses {
		severity = p.judgeAnalyses(s, c, severity)
	}
	if int(c.Severity) != severity {
		p.found("case %d of %s has severity %d, its detections %d", c.Number, p.book.hostsOf(s), c.Severity, severity)
	}
	if counts["page Detections"] == 0 {
		p.found("case %d of %s has no page of its detections", c.Number, p.book.hostsOf(s))
	}
}

// judgeLetters: what nobody can read is a dead letter, as often as it was sent and with its bytes; nothing else is. Of what was
// sent twice because NATS lost it, the first may have become none.
func (p *play) judgeLetters(ctx context.Context) {
	seen := map[string]int{}
	for letter, err := range deadletter.Open(p.link, p.replicas[0].topology.DeadLetters).List(ctx, deadletter.Filter{}) {
		if err != nil {
			p.found("dead letters: %v", err)
			return
		}
		body := string(letter.Body)
		switch seen[body]++; {
		case p.garbled[body] == 0:
			p.found("message %d became a dead letter: %s: %s: %q", letter.Sequence, letter.Reason, letter.Detail, body)
		case seen[body] > p.garbled[body]:
			p.found("message %d, sent %d times, has %d dead letters", letter.Sequence, p.garbled[body], seen[body])
		}
	}
	for body := range p.garbled {
		if seen[body] == 0 {
			p.found("%q, which nobody can read, is no dead letter", body)
		}
	}
}

// state is a digest of all that TheHive holds, without what the order of arrival decides: numbers, titles, descriptions.
func state(s hivetest.Snapshot) string {
	var all []string
	for _, c := range s.Cases {
		var items []string
		for _, o := range c.Observables {
			items = append(items, o.DataType+" "+o.Data)
		}
		for _, o := range c.Procedures {
			items = append(items, o.PatternID+" "+o.Tactic)
		}
		slices.Sort(items)
		all = append(all, fmt.Sprint(c.Severity, c.Stage, items))
	}
	slices.Sort(all)
	return fmt.Sprintf("%x", sha256.Sum256([]byte(strings.Join(all, "\n"))))[:16]
}
