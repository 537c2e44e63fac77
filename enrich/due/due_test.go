package due_test

import (
	"testing"
	"time"

	"forager/enrich/due"
)

func TestACaseIsTakenOnceFromItsTimeOn(t *testing.T) {
	t.Parallel()
	now := time.Unix(1_700_000_000, 0)
	q := due.New(func(id string) string { return id })
	q.Later("a", now.Add(time.Hour))
	q.Sooner("a", now.Add(2*time.Hour)) // no sooner
	q.Sooner("a", now.Add(time.Minute))
	if c, ok := q.Take(now.Add(59 * time.Second)); ok {
		t.Errorf("%s before its time", c)
	}
	if c, ok := q.Take(now.Add(time.Minute)); !ok || c != "a" {
		t.Errorf("%q %v, want a", c, ok)
	}
	if c, ok := q.Take(now.Add(3 * time.Hour)); ok {
		t.Errorf("%s twice", c)
	}
	q.Later("b", now)
	q.Later("b", now.Add(time.Hour)) // the last word counts
	if c, ok := q.Take(now); ok {
		t.Errorf("%s before its later time", c)
	}
}
