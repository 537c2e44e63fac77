package service

import (
	"fmt"
	"testing"
	"time"

	"forager/hive/hivetest"
	"forager/racedetector"
)

// The past of a key: cases far enough apart that each detection needs one of its own.
const (
	pastBetween = 72 * time.Hour
	pastLater   = 25 // detections that come one by one when all that is there
	pastCalls   = 10 // at TheHive for one of them, at most: look, look near, open, fill
)

// TestAThousandPastCasesOfAKeyCostNoMoreThanOne: a noisy host of years is a host like another.
func TestAThousandPastCasesOfAKeyCostNoMoreThanOne(t *testing.T) {
	t.Parallel()
	cases := racedetector.Fewer(1000, 50)
	c := newCrossing(t, 1)
	began := time.Date(2018, 1, 1, 0, 0, 0, 0, time.UTC)
	first := c.hive.Stats(0).Total
	c.sendAt("dc01", began)
	c.ended()
	t.Logf("the first costs %d calls", c.hive.Stats(0).Total-first)
	for n := 1; n < cases; n++ {
		c.sendAt("dc01", began.Add(time.Duration(n)*pastBetween))
	}
	c.ended()
	t.Logf("each costs %.1f calls, all at once", float64(c.hive.Stats(0).Total)/float64(cases))
	before := c.hive.Stats(0).Total
	for n := range pastLater { // some after all others, some between them
		at := began.Add(time.Duration(cases+n) * pastBetween)
		if n%2 == 1 {
			at = began.Add(time.Duration(cases/pastLater*n)*pastBetween + pastBetween/2)
		}
		c.sendAt("dc01", at)
		c.ended()
	}
	each := float64(c.hive.Stats(0).Total-before) / pastLater
	t.Logf("each costs %.1f calls, later and one by one", each)
	// With the race detector time passes within a detection: looks are due anew, pages are written between. "make check" judges without.
	if each > pastCalls && !racedetector.On {
		t.Errorf("a detection of a host with %d cases costs %.1f calls, at most %d are allowed", cases, each, pastCalls)
	}
	c.judge()
	if got := c.hive.Stats(hivetest.DefaultWindow).Cases; got != cases+pastLater {
		t.Errorf("%d cases, want %d", got, cases+pastLater)
	}
}

// TestAPastOfClosedCasesIsAPastLikeAnother: closed cases that take comments, and detections of
// before their end and after it.
func TestAPastOfClosedCasesIsAPastLikeAnother(t *testing.T) {
	t.Parallel()
	for _, closed := range []string{"new", "comment", "reopen"} {
		t.Run(closed, func(t *testing.T) {
			t.Parallel()
			cases := racedetector.Fewer(60, 8)
			c := newCrossing(t, 1, "FORAGER_CASE_CLOSED="+closed)
			began := time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)
			for n := range cases {
				c.sendAt("dc01", began.Add(time.Duration(n)*pastBetween))
			}
			c.ended()
			for _, one := range c.hive.Snapshot().Cases {
				c.analyst(one.Number, fmt.Sprintf(`{"status":"TruePositive","summary":"s","impactStatus":"NoImpact","endDate":%d}`, one.StartDate+time.Hour.Milliseconds()))
			}
			for n := range cases {
				at := began.Add(time.Duration(n) * pastBetween)
				c.sendAt("dc01", at.Add(30*time.Minute)) // before the end of the case
				c.sendAt("dc01", at.Add(2*time.Hour))    // after it, and within its window
				c.sendAt("dc01", at.Add(36*time.Hour))   // after its window
			}
			c.sendAt("dc01", began.Add(-pastBetween)) // before all of them
			c.ended()
			c.judge()
			want := map[string]int{"new": 3*cases + 1, "comment": 2*cases + 1, "reopen": 2*cases + 1}[closed]
			if got := len(c.hive.Snapshot().Cases); got != want {
				t.Errorf("%d cases, want %d", got, want)
			}
		})
	}
}
