package simulation

import (
	"slices"
	"strings"
	"testing"
	"time"

	"forager/hive/hivetest"
)

// analysesWithin is how long Cortex may take to be asked for everything once all is settled: passes pause longer the more often one fails.
const analysesWithin = time.Hour

// analysed waits until Cortex was asked for all that it must be, and its answers are used; and notes how long one was not.
func (p *play) analysed() {
	answered := map[int64]time.Time{} // by case
	for begun := time.Now(); p.plan.Analyses && time.Since(begun) < analysesWithin; <-time.After(time.Second) {
		waits := false
		for _, c := range p.hive.Snapshot().Cases {
			lacks := p.mine(c) && lacking(c) != ""
			if _, known := answered[c.Number]; lacks && !known && analysedAsBad(c) {
				answered[c.Number] = time.Now()
			}
			if at, known := answered[c.Number]; known && !lacks {
				p.used = max(p.used, time.Since(at))
				delete(answered, c.Number)
			}
			waits = waits || lacks
		}
		if !waits {
			return
		}
	}
}

// mine tells whether a case is of this shift, and one that analysts left alone.
func (p *play) mine(c hivetest.Case) bool {
	return slices.ContainsFunc(c.Observables, func(o hivetest.Observable) bool {
		d := p.book.byIP[o.Data]
		return d != nil && d.shift == p.shift && p.book.simple(p.book.of(d))
	})
}

// lacking is what a case lacks of what analyzers do.
func lacking(c hivetest.Case) string {
	for _, o := range c.Observables {
		of := analyzerOf(o)
		done := slices.ContainsFunc(c.Jobs, func(j hivetest.Job) bool {
			return j.Data == o.Data && j.Analyzer == of && j.Status == "Success"
		})
		switch {
		case of == "":
		case !done:
			return "a job of " + of + " for " + o.Data
		case o.Data == shared(badName) && !o.IOC:
			return "the mark of an indicator at " + o.Data
		}
	}
	if analysedAsBad(c) && c.Severity != worst {
		return "severity 4"
	}
	return ""
}

// worst is the severity that a bad result raises a case to.
const worst = 4

// badName is the choice of a shared indicator that analyzers think badly of.
const badName = 2

func analyzerOf(o hivetest.Observable) string {
	switch o.DataType {
	case "ip":
		return "VirusTotal_GetReport_3_1"
	case "fqdn", "domain":
		return "Abuse_Finder_3_0"
	default:
		return ""
	}
}

// analysedAsBad tells whether an analyzer has thought badly of something in a case.
func analysedAsBad(c hivetest.Case) bool {
	return slices.ContainsFunc(c.Jobs, func(j hivetest.Job) bool { return j.Data == shared(badName) && j.Status == "Success" })
}

// judgeAnalyses: each observable was looked at by its analyzer, and what that said is used; once, as judgeCase counts. It gives the severity
// that the case must have, which is at least that of its detections.
func (p *play) judgeAnalyses(s *span, c hivetest.Case, least int) int {
	removed := s.taken["fqdn "+shared(badName)]
	if !p.book.simple(s) || removed {
		return max(least, int(c.Severity)) // what an analyzer thought badly of may be gone
	}
	if lacks := lacking(c); lacks != "" {
		p.found("case %d of %s lacks %s", c.Number, p.book.hostsOf(s), lacks)
	}
	if analysedAsBad(c) {
		return worst
	}
	return least
}

// simple tells whether an analyst has left a case alone, and the ledger remembers it: of others, analyses may be missing.
func (b *book) simple(s *span) bool {
	return s.sources == 1 && s.end.IsZero() && !s.deleted && !s.open && !s.forgot
}

// TestWhatAnAnalyzerSaysIsUsedAtOnce: TheHive tells of it by its webhook; without, the next look finds it, which is due 16 minutes after
// the job was asked for.
func TestWhatAnAnalyzerSaysIsUsedAtOnce(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		events      shift
		least, most time.Duration
	}{
		"told":     {nil, 0, 2 * time.Second},
		"not told": {shift{{Kind: deafens, For: 11 * time.Minute}}, 10 * time.Second, analysesWithin},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			events := append(c.events, event{At: time.Second, Kind: detects, Which: badName, ID: "bad"})
			o := live(t, schedule{Seed: 1, Replicas: 2, Analyses: true, JobTime: 9 * time.Minute, Shifts: []shift{events}})
			if len(o.Findings) > 0 || o.Used < c.least || o.Used > c.most {
				t.Errorf("used after %s, want %s to %s; %q %s", o.Used, c.least, c.most, o.Findings, strings.Join(o.Lines, ""))
			}
		})
	}
}
