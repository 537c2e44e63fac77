package silences

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sourcegraph/conc/pool"

	"forager/enrich"
	"forager/hive"
)

// TheHive is what is read of it. *hive.Client satisfies it.
type TheHive interface {
	FindCases(ctx context.Context, q hive.Query) iter.Seq2[hive.Case, error]
	CaseComments(ctx context.Context, caseID string) iter.Seq2[hive.Comment, error]
	CasePages(ctx context.Context, caseID string) iter.Seq2[hive.Page, error]
}

// Reading says which cases are read, and how their statuses are meant.
type Reading struct {
	Since time.Time
	Most  int // cases, the newest first
	// False and True are statuses of the organisation's own that mean false and true positives.
	False, True []string
}

// Gathered is what closed cases say.
type Gathered struct {
	Cases   []Case          // by number
	Rules   map[string]Rule // by hash: what rules are called
	Unnamed map[string]bool // hashes of rules whose words nobody found
	Cut     bool            // there were more cases
}

// atATime bounds the cases that are read side by side.
const atATime = 8

// Gather reads the closed cases of Forager's. read is told after each of them. Errors: of TheHive.
func Gather(ctx context.Context, from TheHive, r Reading, read func()) (Gathered, error) {
	g := Gathered{Rules: map[string]Rule{}, Unnamed: map[string]bool{}}
	var mu sync.Mutex
	reading := pool.New().WithMaxGoroutines(atATime).WithErrors().WithContext(ctx).WithCancelOnError().WithFirstError()
	var listed error
	n := 0
	for c, err := range from.FindCases(ctx, r.query()) {
		if err != nil {
			listed = err
			break
		}
		if !r.wanted(c) {
			continue
		}
		if n++; n > r.Most {
			g.Cut = true
			break
		}
		reading.Go(func(ctx context.Context) error {
			texts, err := textsOf(ctx, from, c)
			if err != nil {
				return err
			}
			f := readTexts(texts)
			mu.Lock()
			defer mu.Unlock()
			g.add(c, r.verdict(c.Status), f)
			read()
			return nil
		})
	}
	if err := reading.Wait(); err != nil && listed == nil {
		listed = err
	}
	if listed != nil {
		return g, fmt.Errorf("read closed cases: %w", listed)
	}
	slices.SortFunc(g.Cases, func(a, b Case) int { return a.Number - b.Number })
	for _, c := range g.Cases {
		for _, s := range c.Rules {
			if _, named := g.Rules[s.Rule]; !named {
				g.Unnamed[s.Rule] = true
			}
		}
	}
	return g, nil
}

// query chooses cases that may be wanted, the newest first.
func (r Reading) query() hive.Query {
	return hive.Query{
		Filter: hive.And(hive.Eq("stage", hive.StageClosed), hive.Gte("_updatedAt", r.Since)),
		Sort:   []hive.Sort{{Field: "_createdAt", Desc: true}},
	}
}

// wanted tells whether a case is Forager's, and was closed since.
func (r Reading) wanted(c hive.Case) bool {
	ours := slices.ContainsFunc(c.Tags, func(tag string) bool {
		return len(tag) == len(enrich.TagPrefix)+32 && strings.HasPrefix(tag, enrich.TagPrefix)
	})
	return ours && c.Closed() && !closedAt(c).Before(r.Since)
}

// closedAt is when a case was closed.
func closedAt(c hive.Case) time.Time {
	if c.ClosedDate != 0 {
		return c.ClosedDate.Time()
	}
	return max(c.UpdatedAt, c.CreatedAt).Time()
}

// verdict is what a status means.
func (r Reading) verdict(status string) Verdict {
	switch {
	case status == "FalsePositive" || slices.Contains(r.False, status):
		return False
	case status == "TruePositive" || slices.Contains(r.True, status):
		return True
	case status == "Duplicated":
		return Nothing
	default:
		return Unclear
	}
}

// textsOf are all texts of a case that may be Forager's.
func textsOf(ctx context.Context, from TheHive, c hive.Case) (Texts, error) {
	t := Texts{Description: c.Description}
	for p, err := range from.CasePages(ctx, c.ID) {
		if err != nil {
			return t, err
		}
		t.Others = append(t.Others, p.Content)
	}
	for m, err := range from.CaseComments(ctx, c.ID) {
		if err != nil {
			return t, err
		}
		t.Others = append(t.Others, m.Message)
	}
	return t, nil
}

// add takes a case in.
func (g *Gathered) add(c hive.Case, v Verdict, f found) {
	one := Case{Number: c.Number, Verdict: v, Closed: closedAt(c), Host: hostOf(c.Description)}
	for hash := range f.hashes {
		n := f.counts[hash]
		one.Rules = append(one.Rules, Seen{Rule: hash, Detections: n.n, Severity: max(n.severity, 1), Users: n.users, AllUsers: n.all})
		if rule, named := f.named[hash]; named {
			g.Rules[hash] = rule
		}
	}
	slices.SortFunc(one.Rules, func(a, b Seen) int { return strings.Compare(a.Rule, b.Rule) })
	g.Cases = append(g.Cases, one)
}
