package deploytest

import (
	"encoding/json"
	"log/slog"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql/parser"
)

// TestRulesAreRules: Prometheus reads them, and each says what is wrong and what to do.
func TestRulesAreRules(t *testing.T) {
	known := metrics(t)
	text, err := os.ReadFile(chart + "/files/alerts.yaml")
	if err != nil {
		t.Fatal(err)
	}
	p := parser.NewParser(parser.Options{})
	groups, errs := rulefmt.Parse(text, false, model.UTF8Validation, p, slog.New(slog.DiscardHandler))
	for _, err := range errs {
		t.Error(err)
	}
	if groups == nil {
		t.FailNow()
	}
	for _, g := range groups.Groups {
		for _, r := range g.Rules {
			for _, needed := range []string{"summary", "description", "runbook"} {
				if r.Annotations[needed] == "" {
					t.Errorf("%s: no %s", r.Alert, needed)
				}
			}
			if !slices.Contains([]string{"warning", "critical"}, r.Labels["severity"]) {
				t.Errorf("%s: severity %q", r.Alert, r.Labels["severity"])
			}
			checkMetrics(t, r.Alert, r.Expr, known)
		}
	}
}

// ours are the variables of Grafana that queries may use, and what stands for them here.
var ours = strings.NewReplacer("$__rate_interval", "5m", "$__range", "1h", `"$namespace"`, `"soc"`, `"$job"`, `".*"`)

func TestDashboardQueriesParse(t *testing.T) {
	known := metrics(t)
	text, err := os.ReadFile(chart + "/files/dashboard.json")
	if err != nil {
		t.Fatal(err)
	}
	var dashboard struct {
		Panels []struct {
			Title   string `json:"title"`
			Targets []struct {
				Expr string `json:"expr"`
			} `json:"targets"`
		} `json:"panels"`
	}
	if err := json.Unmarshal(text, &dashboard); err != nil {
		t.Fatal(err)
	}
	if len(dashboard.Panels) == 0 {
		t.Fatal("no panels")
	}
	for _, panel := range dashboard.Panels {
		for _, target := range panel.Targets {
			checkMetrics(t, panel.Title, ours.Replace(target.Expr), known)
		}
	}
}

// checkMetrics parses a query and looks for metrics, labels and words that the worker does not have.
func checkMetrics(t *testing.T, where, query string, known map[string][]string) {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	parser.Inspect(expr, func(n parser.Node, path []parser.Node) error {
		s, ok := n.(*parser.VectorSelector)
		if !ok || !strings.HasPrefix(s.Name, "forager_") {
			return nil
		}
		labels, ok := known[base(s.Name)]
		if !ok {
			t.Errorf("%s: the worker has no metric %s", where, s.Name)
			return nil
		}
		if base(s.Name) != s.Name {
			labels = append(slices.Clone(labels), "le")
		}
		for _, m := range s.LabelMatchers {
			checkLabel(t, where, s.Name, m.Name, labels)
		}
		for _, above := range path {
			if a, ok := above.(*parser.AggregateExpr); ok && !a.Without {
				for _, label := range a.Grouping {
					checkLabel(t, where, s.Name, label, labels)
				}
			}
		}
		return nil
	})
}

// checkLabel looks for a label among those that the worker, or the scrape, gives a metric.
func checkLabel(t *testing.T, where, metric, label string, labels []string) {
	t.Helper()
	if scraped := []string{"__name__", "namespace", "job", "pod"}; !slices.Contains(scraped, label) && !slices.Contains(labels, label) {
		t.Errorf("%s: %s has no label %s, but %v", where, metric, label, labels)
	}
}

// base leaves the parts of a histogram out.
func base(name string) string {
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return name
}

// metrics are the names and labels of docs/reference/metrics.md, which a test of cmd/worker/service compares with
// the worker's registry.
func metrics(t *testing.T) map[string][]string {
	t.Helper()
	text, err := os.ReadFile("../../docs/reference/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	known := map[string][]string{}
	for _, m := range regexp.MustCompile("(?m)^\\| `(forager_[a-z_]+)` \\| [a-z]+ \\| ([a-z, ]*) \\|").FindAllStringSubmatch(string(text), -1) {
		known[m[1]] = strings.FieldsFunc(m[2], func(r rune) bool { return r == ',' || r == ' ' })
	}
	if len(known) == 0 {
		t.Fatal("docs/reference/metrics.md names no metric")
	}
	return known
}
