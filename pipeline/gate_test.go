package pipeline

import (
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/enrich"
	"forager/enrich/answertest"
)

// told collects what a gate tells.
type told struct{ lines []string }

func (l *told) tell(open bool, reason string, _ error) {
	l.lines = append(l.lines, fmt.Sprint(open, " ", reason))
}

func testGate(asks bool) (*gate, *told) {
	l := &told{}
	o := Options{}
	if asks {
		o.Check = isWell
	}
	return newGate(o.WithDefaults(), time.Now, l.tell), l
}

var errRefusesUs = &enrich.OrganisationError{Err: errors.New("401")}

func isOpen(g *gate) bool { open, _, _, _ := g.state(); return open }

func TestGateClosesOnTheFirstBlockedErrorAndSaysWhyOnce(t *testing.T) {
	g, l := testGate(false)
	_, _, epoch, changed := g.state()
	for range 5 {
		g.applied(epoch, "q", errRefusesUs)
	}
	select {
	case <-changed:
	default:
		t.Error("nobody was woken")
	}
	if diff := cmp.Diff([]string{"false blocked"}, l.lines); diff != "" {
		t.Error(diff)
	}
}

func TestGateOpensOnlyOnASuccessThatBeganAfterItClosed(t *testing.T) {
	g, _ := testGate(false)
	_, _, before, _ := g.state()
	g.close(reasonBlocked, errRefusesUs)
	g.applied(before, "q", nil)
	if isOpen(g) {
		t.Error("opened on the success of an apply that began before the trouble")
	}
	_, _, epoch, _ := g.state()
	for _, err := range []error{enrich.ErrStopping, errPassing} {
		g.applied(epoch, "q", err)
		if isOpen(g) {
			t.Errorf("opened on %v", err)
		}
	}
	g.applied(epoch, "q", &enrich.RejectedError{})
	if !isOpen(g) {
		t.Error("TheHive refused an item, so it answers and knows us: must open")
	}
}

func TestGateSaysWhatWasMetLast(t *testing.T) {
	g, _ := testGate(false)
	g.close(reasonSilent, errPassing)
	g.close(reasonBlocked, fmt.Errorf("two\nlines: %w", errRefusesUs))
	if got, want := g.why(), "blocked: two lines: "+errRefusesUs.Error(); got != want {
		t.Errorf("%q, want %q", got, want)
	}
	g.open()
	if got := g.why(); got != "" {
		t.Errorf("open, and closed because of %q", got)
	}
}

func TestGatePausesGrowToALimit(t *testing.T) {
	g, _ := testGate(false)
	var pauses []time.Duration
	for range 8 {
		g.close(reasonBlocked, errRefusesUs)
		pauses = append(pauses, g.wait()/time.Second)
	}
	if diff := cmp.Diff([]time.Duration{1, 2, 4, 8, 16, 30, 30, 30}, pauses); diff != "" {
		t.Error(diff)
	}
	g.open()
	g.close(reasonBlocked, errRefusesUs)
	if g.wait() != time.Second {
		t.Errorf("first pause after opening is %v, want 1s", g.wait())
	}
}

func TestGateClockStandsStillWhileClosed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := testGate(false)
		<-time.After(time.Minute)
		g.close(reasonBlocked, errRefusesUs)
		<-time.After(time.Hour)
		g.open()
		<-time.After(time.Minute)
		if got := g.clock(); got != 2*time.Minute {
			t.Errorf("clock %v, want 2m", got)
		}
	})
}

func TestGateReasonBelongsToTheCause(t *testing.T) {
	for _, c := range []struct {
		cause error
		want  string
	}{
		{fmt.Errorf("put: %w", enrich.ErrLedger), reasonLedger},
		{enrich.ErrUnavailable, reasonSilent},
		{enrich.ErrNoPatterns, reasonBlocked},
		{&enrich.OrganisationError{Err: errPassing}, reasonBlocked},
		{errPassing, reasonFailing}, // a probe's: TheHive was asked before and answered
	} {
		for _, before := range []string{reasonBlocked, reasonLedger, reasonSilent, reasonLetters} {
			g, _ := testGate(true)
			g.close(before, errors.New("what was before"))
			_, _, epoch, _ := g.state()
			g.applied(epoch, "q", c.cause)
			if got, want := g.why(), c.want+": "+c.cause.Error(); got != want {
				t.Errorf("after %q the gate says %q, want %q", before, got, want)
			}
		}
	}
}

// TestPlansThatMeetAClosedGateDoNotBlameTheLedger: whatever closed it.
func TestPlansThatMeetAClosedGateDoNotBlameTheLedger(t *testing.T) {
	for _, err := range []error{errGateClosed, &heldError{reason: "case rejected"}} {
		if enrich.ClassOf(err) != enrich.Blocked || errors.Is(err, enrich.ErrLedger) || strings.Contains(err.Error(), "ledger") {
			t.Errorf("%v: class %v", err, enrich.ClassOf(err))
		}
	}
}

func TestGateAsksAtTheFirstFailureAndThenNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _ := testGate(true)
		_, _, epoch, _ := g.state()
		asked := 0
		for i := range 100 { // ten a second, a success now and then
			if i%7 == 3 {
				g.applied(epoch, "q", nil)
			}
			if g.applied(epoch, "q", errPassing) {
				asked++
			}
			if i == 0 && asked != 1 {
				t.Error("the first failure asked nobody")
			}
			<-time.After(100 * time.Millisecond)
		}
		if asked != 2 || !isOpen(g) {
			t.Errorf("asked %d times in ten seconds, open %v; want 2, true: whoever asks decides", asked, isOpen(g))
		}
	})
}

func TestGateThatCannotAskClosesWhenManyKeysFail(t *testing.T) {
	for keys, closed := range map[int]bool{1: false, 2: false, 3: true} {
		g, _ := testGate(false)
		_, _, epoch, _ := g.state()
		for i := range 3 * streakLength {
			g.applied(epoch, fmt.Sprint(i%keys), errPassing)
		}
		if isOpen(g) == closed {
			t.Errorf("%d keys fail: closed %v, want %v", keys, !isOpen(g), closed)
		}
	}
}

func TestBestResultSpeaksForTheHive(t *testing.T) {
	rejected := &enrich.RejectedError{}
	for _, c := range []struct {
		name    string
		results []error
		want    error
		good    bool
	}{
		{"one success outweighs failures", []error{errPassing, nil, errPassing}, nil, true},
		{"a refusal is an answer", []error{errPassing, rejected}, nil, true},
		{"blocked speaks for all", []error{nil, errRefusesUs}, errRefusesUs, false},
		{"failures alone", []error{enrich.ErrStopping, errPassing}, errPassing, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, good := best(c.results)
			if !errors.Is(got, c.want) || good != c.good {
				t.Errorf("best = %v, %v; want %v, %v", got, good, c.want, c.good)
			}
		})
	}
}

// answers that may be everybody's, or one message's alone.
var doubtful = map[string]error{
	"429 of a proxy": answertest.Foreign(429, ""),
	"502":            answertest.Foreign(502, ""),
	"503 of a proxy": answertest.Foreign(503, ""),
	"504":            answertest.Foreign(504, ""),
	"a reset":        answertest.Reset(),
	"a cut answer":   answertest.Cut(),
}

// TestAProbeThatAProxyRefusesOpensTheGate: TheHive was asked before, and is well.
func TestAProbeThatAProxyRefusesOpensTheGate(t *testing.T) {
	for name, e := range doubtful {
		for _, err := range []error{e, &enrich.UnsettledError{Err: e}} {
			g, _ := testGate(true)
			g.close(reasonSilent, enrich.ErrUnavailable)
			_, _, epoch, _ := g.state()
			g.applied(epoch, "q", fmt.Errorf("apply: %w", err))
			if !isOpen(g) {
				t.Errorf("%s: %s", name, g.why())
			}
		}
	}
	for name, err := range map[string]error{
		"nothing listens":      answertest.Unheard(),
		"a 500 of TheHive":     answertest.Own(500, "InternalError"),
		"TheHive is not there": answertest.Own(503, "Unavailable"),
	} {
		g, _ := testGate(true)
		g.close(reasonSilent, enrich.ErrUnavailable)
		_, _, epoch, _ := g.state()
		g.applied(epoch, "q", err)
		if isOpen(g) {
			t.Errorf("opened, although %s", name)
		}
	}
}

// TestWhatMayBeEverybodysCountsWhereTheHiveIsWell: since the message failed last, another apply succeeded.
func TestWhatMayBeEverybodysCountsWhereTheHiveIsWell(t *testing.T) {
	doubtful := maps.Clone(doubtful)
	doubtful["nothing listens"] = answertest.Unheard()
	for name, err := range doubtful {
		synctest.Test(t, func(t *testing.T) {
			g, _ := testGate(true)
			_, _, epoch, _ := g.state()
			g.applied(epoch, "q", nil)
			<-time.After(time.Second)
			failed := time.Now()
			<-time.After(time.Second)
			if g.charges(failed, err) {
				t.Errorf("%s counts while everybody may meet it", name)
			}
			g.applied(epoch, "q", nil)
			if !g.charges(failed, err) {
				t.Errorf("%s does not count although others succeed", name)
			}
			if own := answertest.Own(500, "InternalError"); !g.charges(time.Now(), own) {
				t.Error("a 500 of TheHive does not count")
			}
		})
	}
	g, _ := testGate(true)
	g.isWell()
	if g.charges(time.Time{}, answertest.Own(503, "Unavailable")) {
		t.Error("TheHive's own 503 counts")
	}
	if g, _ := testGate(false); !g.charges(time.Now(), doubtful["502"]) {
		t.Error("does not count, and TheHive cannot be asked")
	}
}
