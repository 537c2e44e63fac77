package rules_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/enrich/rules"
	"forager/enrich/threshold"
)

func TestAThresholdCountsWhatItsRouteSays(t *testing.T) {
	t.Parallel()
	s := seen("web01")
	s.User, s.Tactics = "CORP\\Alice", []string{"execution", "Execution", "credential-access"}
	hour := time.Hour.Milliseconds()
	for _, c := range []struct {
		name string
		of   rules.Threshold
		want rules.Below
	}{
		{
			"detections", rules.Threshold{Count: 5, Within: time.Hour},
			rules.Below{Rule: threshold.Rule{Kind: threshold.Count, Need: 5, Within: hour}, Name: "r\x00count\x00\x00", Words: "5 detections within 1h"},
		},
		{
			"by user", rules.Threshold{Count: 5, Within: time.Hour, By: "detection.user"},
			rules.Below{Rule: threshold.Rule{Kind: threshold.Count, Need: 5, Within: hour}, Name: "r\x00count\x00\x00detection.user", By: `corp\alice`, Words: "5 detections by detection.user within 1h"},
		},
		{
			"different tactics", rules.Threshold{Count: 2, Within: time.Hour, Of: "detection.tactics"},
			rules.Below{
				Rule: threshold.Rule{Kind: threshold.Distinct, Need: 2, Within: hour}, Name: "r\x00distinct\x00detection.tactics\x00",
				Values: []string{"execution", "credential-access"}, Words: "2 different detection.tactics within 1h",
			},
		},
		{
			"different users", rules.Threshold{Count: 2, Within: time.Hour, Of: "detection.user"},
			rules.Below{
				Rule: threshold.Rule{Kind: threshold.Distinct, Need: 2, Within: hour}, Name: "r\x00distinct\x00detection.user\x00",
				Values: []string{`corp\alice`}, Words: "2 different detection.user within 1h",
			},
		},
		{
			"points", rules.Threshold{Sum: 100, Within: time.Hour, Of: "detection.severity * 10"},
			rules.Below{
				Rule: threshold.Rule{Kind: threshold.Sum, Need: 100, Within: hour}, Name: "r\x00sum\x00detection.severity * 10\x00",
				Points: 30, Words: "100 points of detection.severity * 10 within 1h",
			},
		},
		{
			"points below nothing", rules.Threshold{Sum: 100, Within: time.Hour, Of: "-1.5"},
			rules.Below{Rule: threshold.Rule{Kind: threshold.Sum, Need: 100, Within: hour}, Name: "r\x00sum\x00-1.5\x00", Words: "100 points of -1.5 within 1h"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := decided(t, rules.Route{Name: "r", Threshold: &c.of}, s)
			if diff := cmp.Diff(&c.want, d.Threshold); diff != "" || len(d.Faults) > 0 {
				t.Errorf("faults %v (-want +got):\n%s", d.Faults, diff)
			}
		})
	}
	if d := decided(t, rules.Route{Name: "r"}, s); d.Threshold != nil {
		t.Errorf("a route without one: %+v", d.Threshold)
	}
}

// TestAThresholdThatFailsCountsNothing, and says so: never does a failure open a case early.
func TestAThresholdThatFailsCountsNothing(t *testing.T) {
	t.Parallel()
	s := seen("web01")
	for _, of := range []rules.Threshold{
		{Sum: 10, Within: time.Hour, Of: "1 / (detection.severity - 3)"},
		{Sum: 10, Within: time.Hour, Of: "detection.fields['none']"},
		{Count: 2, Within: time.Hour, Of: "detection.tags[7]"},
	} {
		d := decided(t, rules.Route{Name: "r", Threshold: &of}, s)
		if d.Threshold == nil || d.Threshold.Points != 0 || d.Threshold.Values != nil || !slices.Equal(d.Faults, []string{"route r threshold of"}) {
			t.Errorf("%s: %+v, faults %v", of.Of, d.Threshold, d.Faults)
		}
	}
}

func TestAThresholdThatCannotWorkIsRefusedWithItsPlace(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		of   rules.Threshold
		drop bool
		want string
	}{
		{rules.Threshold{Within: time.Hour}, false, "threshold: needs count or sum"},
		{rules.Threshold{Count: 2, Sum: 3, Of: "1", Within: time.Hour}, false, "threshold: has both count and sum"},
		{rules.Threshold{Count: 1, Within: time.Hour}, false, "threshold.count: 1 is not from 2 to 1000"},
		{rules.Threshold{Count: 1001, Within: time.Hour}, false, "threshold.count: 1001 is not from 2 to 1000"},
		{rules.Threshold{Sum: -1, Of: "1", Within: time.Hour}, false, "threshold.sum: -1 is not from 1"},
		{rules.Threshold{Sum: 5, Within: time.Hour}, false, "threshold.of: is missing"},
		{rules.Threshold{Count: 2}, false, "threshold.within: 0s is not from 1s to 720h0m0s"},
		{rules.Threshold{Count: 2, Within: 721 * time.Hour}, false, "threshold.within: 721h0m0s is not"},
		{rules.Threshold{Count: 2, Within: time.Hour, By: "detection.severity"}, false, "threshold.by: gives int, must give string"},
		{rules.Threshold{Count: 2, Within: time.Hour, Of: "detection.severity"}, false, "threshold.of: gives int, must give a string or a list of strings"},
		{rules.Threshold{Sum: 2, Within: time.Hour, Of: "detection.user"}, false, "threshold.of: gives string, must give a number"},
		{rules.Threshold{Count: 2, Within: time.Hour, Of: "detection.usr"}, false, "threshold.of: detection.usr: no such field; meant user? it is a string"},
		{rules.Threshold{Count: 2, Within: time.Hour}, true, "threshold: waits for nothing: the route drops"},
	} {
		_, err := rules.NewRouter(rules.Rules{Routes: []rules.Route{{Name: "r", Drop: c.drop, Threshold: &c.of}}})
		if err == nil || !strings.HasPrefix(err.Error(), "routes[0]."+c.want) {
			t.Errorf("%+v: %v, want %q", c.of, fmt.Sprint(err), c.want)
		}
	}
}
