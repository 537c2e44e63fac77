package rules

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"strings"
	"time"

	"cel.dev/cel-go/cel"

	"forager/enrich/detection/canon"
	"forager/enrich/threshold"
)

// Threshold says how much must come together before a route opens a case. One of Count and Sum is given.
type Threshold struct {
	Count  int           // detections, or, with Of, different values
	Sum    int           // points, which Of gives
	Of     string        // CEL: with Count a string, or a list of them; with Sum a number
	By     string        // CEL, string: what is counted by; an empty result, and no By, is the case's key
	Within time.Duration // window of event time, both ends included
}

// Bounds of thresholds. What is above the first would wait for more than is held of one key.
const (
	mostCount  = 1000
	mostSum    = 1_000_000_000
	mostWithin = 30 * 24 * time.Hour
	mostPoints = 1_000_000 // of one detection
	mostValues = 64        // of one detection
)

// Below is what a route's threshold says of one detection.
type Below struct {
	Rule   threshold.Rule
	Name   string   // of what is counted, as the route writes it: another one counts anew
	By     string   // the value that it is counted by; empty is the case's key
	Points int64    // for a sum
	Values []string // for different values
	Words  string   // what it waits for, for people
}

// below is a compiled threshold.
type below struct {
	Threshold
	rule   threshold.Rule
	name   string
	of, by cel.Program
}

// threshold compiles the threshold of a route.
func (c *compiler) threshold(r Route) *below {
	t := r.Threshold
	if t == nil {
		return nil
	}
	c.thresholdNumbers(*t)
	if r.Drop {
		c.complain("threshold", "waits for nothing: the route drops what meets its condition")
	}
	b := &below{Threshold: *t, by: c.condition("threshold.by", t.By, cel.StringType)}
	b.rule = threshold.Rule{Kind: threshold.Count, Need: int64(t.Count), Within: t.Within.Milliseconds()}
	fits := isText
	switch {
	case t.Sum != 0:
		b.rule.Kind, b.rule.Need, fits = threshold.Sum, int64(t.Sum), isNumber
	case t.Of != "":
		b.rule.Kind = threshold.Distinct
	}
	if t.Of != "" {
		var err *RuleError
		b.of, err = c.env.compile(t.Of, fits)
		c.report("threshold.of", err)
	}
	b.name = strings.Join([]string{r.Name, string(b.rule.Kind), t.Of, t.By}, "\x00")
	return b
}

// thresholdNumbers refuses what can never be met, or always is.
func (c *compiler) thresholdNumbers(t Threshold) {
	switch {
	case t.Count == 0 && t.Sum == 0:
		c.complain("threshold", "needs count or sum: how much must come together")
	case t.Count != 0 && t.Sum != 0:
		c.complain("threshold", "has both count and sum: only one can be waited for")
	case t.Count != 0 && (t.Count < 2 || t.Count > mostCount):
		c.complain("threshold.count", "%d is not from 2 to %d: one detection opens a case without a threshold, and of one key no more are held", t.Count, mostCount)
	case t.Sum < 0 || t.Sum > mostSum:
		c.complain("threshold.sum", "%d is not from 1 to %d", t.Sum, mostSum)
	case t.Sum != 0 && t.Of == "":
		c.complain("threshold.of", "is missing: the points of a detection, such as detection.severity * 10")
	}
	if t.Within < time.Second || t.Within > mostWithin {
		c.complain("threshold.within", "%s is not from 1s to %s: how far apart, by their own times, detections may be", t.Within, mostWithin)
	}
}

func isText(t *cel.Type) error {
	if t.IsExactType(cel.StringType) || t.IsExactType(cel.ListType(cel.StringType)) || t.IsExactType(cel.DynType) || t.IsExactType(cel.ListType(cel.DynType)) {
		return nil
	}
	return fmt.Errorf("gives %s, must give a string or a list of strings, of which the different ones are counted", typeName(t))
}

func isNumber(t *cel.Type) error {
	if t.IsExactType(cel.IntType) || t.IsExactType(cel.UintType) || t.IsExactType(cel.DoubleType) || t.IsExactType(cel.DynType) {
		return nil
	}
	return fmt.Errorf("gives %s, must give a number: the points of a detection", typeName(t))
}

// below is what the route's threshold says of a detection; nil where it has none. What fails counts nothing, and is told.
func (q *route) below(s Seen, fault func(string)) *Below {
	if q.threshold == nil {
		return nil
	}
	b := Below{Rule: q.threshold.rule, Name: q.threshold.name}
	if q.threshold.by != nil {
		by, err := evaluate[string](q.threshold.by, s)
		if err != nil {
			fault("route " + q.Name + " threshold by")
		}
		b.By = canon.FoldText(canon.Clean(strings.TrimSpace(by), MaxTitle))
	}
	if q.threshold.of != nil {
		if err := q.threshold.measure(&b, s); err != nil {
			fault("route " + q.Name + " threshold of")
		}
	}
	b.Words = q.threshold.words()
	return &b
}

// measure fills in what the detection counts.
func (t *below) measure(b *Below, s Seen) error {
	out, err := run(t.of, s)
	if err != nil {
		return err
	}
	if t.rule.Kind == threshold.Sum {
		b.Points, err = pointsOf(out.Value())
		return err
	}
	if one, ok := out.Value().(string); ok {
		b.Values = valuesOf([]string{one})
		return nil
	}
	many, err := out.ConvertToNative(reflect.TypeFor[[]string]())
	if err != nil {
		return err
	}
	texts, _ := many.([]string)
	b.Values = valuesOf(texts)
	return nil
}

// pointsOf are points within bounds.
func pointsOf(v any) (int64, error) {
	switch n := v.(type) {
	case int64:
		return min(max(n, 0), mostPoints), nil
	case uint64:
		return int64(min(n, mostPoints)), nil
	case float64:
		if math.IsNaN(n) {
			return 0, errNoPoints
		}
		return int64(min(max(n, 0), mostPoints)), nil
	default:
		return 0, errNoPoints
	}
}

var errNoPoints = errors.New("gives no number")

// valuesOf are the different values that say something.
func valuesOf(texts []string) []string {
	var all []string
	seen := map[string]bool{}
	for _, text := range texts {
		text = canon.FoldText(strings.TrimSpace(text))
		if text != "" && !seen[text] && len(all) < mostValues {
			seen[text] = true
			all = append(all, text)
		}
	}
	return all
}

// words say what is waited for: "5 detections by detection.user within 1h".
func (t *below) words() string {
	what := fmt.Sprintf("%d detections", t.Count)
	switch t.rule.Kind {
	case threshold.Distinct:
		what = fmt.Sprintf("%d different %s", t.Count, t.Of)
	case threshold.Sum:
		what = fmt.Sprintf("%d points of %s", t.Sum, t.Of)
	case threshold.Count:
	}
	if t.By != "" {
		what += " by " + t.By
	}
	return what + " within " + spell(t.Within)
}

// spell writes a duration as somebody would: 24h, not 24h0m0s.
func spell(d time.Duration) string {
	s := d.String()
	for _, zero := range []string{"m0s", "h0m"} {
		if strings.HasSuffix(s, zero) {
			s = s[:len(s)-2]
		}
	}
	return s
}
