package deadletter

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"
)

// Group is dead letters that died of the same.
type Group struct {
	Reason         string
	Step           string // what TheHive refused; or empty
	Status         int    // of TheHive; 0 is none
	Count          int
	Bytes          int       // of their bodies
	Oldest, Newest time.Time // when they died
}

// Groups puts the dead letters that a filter lets through together by reason, step and answer, the most
// frequent first. Of those at most so many are read; whole tells whether that were all. The error is NATS'.
func (q *Queue) Groups(ctx context.Context, f Filter, most int) (groups []Group, whole bool, err error) {
	found, read := map[Group]Group{}, 0
	for m, err := range q.List(ctx, f) {
		if err != nil {
			return nil, false, err
		}
		if read == most {
			return sorted(found), false, nil
		}
		read++
		of := Group{Reason: m.Reason, Step: m.Step, Status: m.Status}
		g := found[of]
		g.add(m)
		found[of] = g
	}
	return sorted(found), true, nil
}

// add counts a dead letter.
func (g *Group) add(m Message) {
	g.Reason, g.Step, g.Status = m.Reason, m.Step, m.Status
	g.Count++
	g.Bytes += len(m.Body)
	if m.Died.After(g.Newest) {
		g.Newest = m.Died
	}
	if g.Oldest.IsZero() || m.Died.Before(g.Oldest) {
		g.Oldest = m.Died
	}
}

func sorted(groups map[Group]Group) []Group {
	return slices.SortedFunc(maps.Values(groups), func(a, b Group) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), cmp.Compare(a.Reason, b.Reason), cmp.Compare(a.Step, b.Step), cmp.Compare(a.Status, b.Status))
	})
}
