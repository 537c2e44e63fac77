package metrics

import (
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
)

func TestWhatTheIntakeDoesIsCounted(t *testing.T) {
	r := prometheus.NewPedanticRegistry()
	i, err := NewIntake(r, "v1", func() bool { return true })
	if err != nil {
		t.Fatal(err)
	}
	i.Expect([]string{"kibana"}, []string{"stored", "wrong credentials"})
	i.Took("kibana", "stored", true, 100, time.Millisecond)
	i.Took("kibana", "stored", true, 20, time.Millisecond)
	i.Took("", "wrong credentials", false, 999, time.Millisecond)
	got := gathered(t, r)
	maps.DeleteFunc(got, func(name string, _ float64) bool { return strings.HasPrefix(name, "build_info") })
	if d := cmp.Diff(map[string]float64{
		"intake_requests_total{result=stored,source=kibana}":          2,
		"intake_requests_total{result=wrong credentials,source=none}": 1,
		"intake_bytes_total{source=kibana}":                           120,
		"intake_seconds{}":                                            2,
		"ready{}":                                                     1,
	}, got); d != "" {
		t.Error(d)
	}
}
