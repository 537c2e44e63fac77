package view

import (
	"cmp"
	"context"
	"slices"
	"time"

	"forager/cmd/worker/page"
	"forager/enrich/claim"
	"forager/enrich/detection/canon"
	"forager/pipeline/deadletter"
	"forager/pipeline/kvledger"
)

// MostLetters are read of the dead letters.
const MostLetters = 2000

// shownReplicas is how many are shown.
const shownReplicas = 50

// replicas are those that the ledger knows, or why they are not known.
type replicas struct {
	all     []page.Replica
	trouble string
}

func (v *View) askReplicas(ctx context.Context) replicas {
	link, err := v.connected(ctx)
	if err != nil {
		return replicas{trouble: said(err)}
	}
	var all []page.Replica
	for record, err := range kvledger.New(link, kvledger.Options{Bucket: v.options.Topology.Bucket}).Written(ctx, claim.SessionPrefix) {
		if err != nil {
			return replicas{trouble: said(err)}
		}
		if s, ok := claim.ReadSession(record.Value); ok {
			all = append(all, replicaOf(s, record.Age))
		}
	}
	slices.SortFunc(all, func(a, b page.Replica) int {
		return cmp.Or(claim.SessionState(a.State).Compare(claim.SessionState(b.State)), b.Started.Compare(a.Started), cmp.Compare(a.Name, b.Name))
	})
	return replicas{all: all[:min(len(all), shownReplicas)]}
}

// marked says which of the replicas shows the page: of this name the one whose session began nearest to the history.
func marked(all []page.Replica, name string, since time.Time) []page.Replica {
	all, own := slices.Clone(all), -1
	for i, r := range all {
		if r.Name == name && r.State == string(claim.SessionLive) && (own < 0 || r.Started.Sub(since).Abs() < all[own].Started.Sub(since).Abs()) {
			own = i
		}
	}
	if own >= 0 {
		all[own].Own = true
	}
	return all
}

func replicaOf(s claim.Session, age time.Duration) page.Replica {
	return page.Replica{Name: s.Pod, State: string(s.State(age)), Seen: age, Started: s.Started, Says: s.Says}
}

// askLetters groups the dead letters.
func (v *View) askLetters(ctx context.Context) page.Letters {
	link, err := v.connected(ctx)
	if err != nil {
		return page.Letters{Trouble: said(err)}
	}
	groups, whole, err := deadletter.Open(link, v.options.Topology.DeadLetters).Groups(ctx, deadletter.Filter{}, MostLetters)
	if err != nil {
		return page.Letters{Trouble: said(err)}
	}
	l := page.Letters{Known: true, Whole: whole}
	for _, x := range groups {
		l.Waiting += uint64(x.Count)
		l.Groups = append(l.Groups, page.Group{Reason: x.Reason, Step: x.Step, Status: x.Status, Count: x.Count, Oldest: x.Oldest, Newest: x.Newest})
	}
	if !whole {
		l.Waiting = max(l.Waiting, v.options.History.Look().Lag.Letters)
	}
	return l
}

// said is an error in one line.
func said(err error) string { return canon.Line(err.Error(), 300) }
