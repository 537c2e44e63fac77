//go:build bench && linux

package bench

import (
	"fmt"
	"io"
	"text/tabwriter"
)

// line is one row of the table, in words.
type line struct {
	row, measured, base, result, ratio, must string
	ok                                       bool
	cores                                    string
}

// table is everything that a run has measured.
type table struct{ lines []line }

// atLeast adds a row whose value must not be below a bound.
func (t *table) atLeast(l line, value, bound float64) { t.add(l, value >= bound) }

// atMost adds a row whose value must not be above a bound.
func (t *table) atMost(l line, value, bound float64) { t.add(l, value <= bound) }

func (t *table) add(l line, ok bool) {
	l.ok = ok
	t.lines = append(t.lines, l)
}

// print writes the table.
func (t *table) print(w io.Writer) error {
	if len(t.lines) == 0 {
		return nil
	}
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(out, "\nrow\tmeasured\tlimit or base\tresult\tratio\tmust\t\tcores: workers+nats+simulator")
	for _, l := range t.lines {
		verdict := "ok"
		switch {
		case !l.ok:
			verdict = "SHORT"
		case l.must == "":
			verdict = "" // told, not judged
		}
		fmt.Fprintf(out, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", l.row, l.measured, l.base, l.result, l.ratio, l.must, verdict, l.cores)
	}
	return out.Flush()
}

// cores is how many cores each kind of process kept busy.
func (o outcome) cores() string {
	s := o.took.Seconds()
	return fmt.Sprintf("%.2f+%.2f+%.2f", o.used.workers.Seconds()/s, o.used.nats.Seconds()/s, o.used.hive.Seconds()/s)
}

// perSecond words a rate.
func perSecond(rate float64) string { return fmt.Sprintf("%.0f/s", rate) }

// said words a rate with a word when the trial was cut.
func (o outcome) said() string {
	if o.whole {
		return perSecond(o.rate())
	}
	return perSecond(o.rate()) + " (cut)"
}
