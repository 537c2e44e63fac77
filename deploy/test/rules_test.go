package deploytest

import (
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
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

// checkMetrics parses a query and looks for metrics that the worker does not have.
func checkMetrics(t *testing.T, where, query string, known []string) {
	t.Helper()
	expr, err := parser.NewParser(parser.Options{}).ParseExpr(query)
	if err != nil {
		t.Errorf("%s: %v", where, err)
		return
	}
	parser.Inspect(expr, func(n parser.Node, _ []parser.Node) error {
		if s, ok := n.(*parser.VectorSelector); ok && strings.HasPrefix(s.Name, "forager_") && known != nil && !slices.Contains(known, base(s.Name)) {
			t.Errorf("%s: the worker has no metric %s", where, s.Name)
		}
		return nil
	})
}

// base leaves the parts of a histogram out.
func base(name string) string {
	for _, suffix := range []string{"_bucket", "_count", "_sum"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return name
}

// metrics are the names that the worker's source gives; nil until it has any.
func metrics(t *testing.T) []string {
	t.Helper()
	files, err := filepath.Glob("../../pipeline/metrics*.go")
	if err != nil {
		t.Fatal(err)
	}
	if len(files) == 0 {
		t.Log("pipeline/metrics.go is not here: queries are parsed, their names are not compared")
		return nil
	}
	var names []string
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range regexp.MustCompile(`\bforager_[a-z_]+`).FindAllString(string(text), -1) {
			names = append(names, base(m))
		}
	}
	return names
}
