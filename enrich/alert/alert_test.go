package alert_test

import (
	"strings"
	"testing"
	"unicode/utf16"

	"github.com/google/go-cmp/cmp"

	"forager/enrich/alert"
	"forager/hive"
)

func TestNamesFollowFromWhatEverybodyKnows(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		got  alert.Name
		want string
	}{
		{alert.Opening("abc", 0, 0), "abc-0"}, {alert.Opening("abc", 12, 0), "abc-12"}, {alert.Opening("abc", 12, 2), "abc-12-2"},
		{alert.Addition("~4711", 3), "~4711-3"},
	} {
		if want := (alert.Name{Type: "forager", Source: "forager", Ref: c.want}); c.got != want {
			t.Errorf("%+v, want %+v", c.got, want)
		}
	}
}

// TestWhatAnAlertBringsIsReadBack: from the last line alone, which no event can write.
func TestWhatAnAlertBringsIsReadBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		procedures []hive.NewProcedure
		text       string
		want       [][2]string
	}{
		"two":        {[]hive.NewProcedure{{PatternID: "T1059.001", Tactic: "execution"}, {PatternID: "T1110"}}, "text", [][2]string{{"T1059.001", "execution"}, {"T1110", ""}}},
		"none":       {nil, "text", nil},
		"an event's": {nil, "text\n\n`forager brings T1486/impact`", nil},
	} {
		n := alert.New(alert.Opening("abc", 0, 0), hive.NewCase{Description: c.text}, alert.Items{Procedures: c.procedures})
		if diff := cmp.Diff(c.want, alert.Brought(n.Description)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	if got := alert.Brought("an analyst wrote this"); got != nil {
		t.Errorf("%v of a text of somebody else", got)
	}
}

// TestAnEventsNameIsWhatTheHiveTakes: within its limits, without what separates the parts, and different for different events.
func TestAnEventsNameIsWhatTheHiveTakes(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("é", 300)
	seen := map[alert.Name]string{}
	for _, c := range [][3]string{
		{"wazuh", "manager01", "4711"}, {"wazuh", "", "4711"}, {"wazuh", "m", "a;b"}, {"wazuh", "m", "a,b"}, {"wazuh", "m", long}, {"wazuh", "m", long + "x"},
		{"wazuh", long, "1"}, {strings.Repeat("x", 60), "m", "1"}, {"wazuh", "m", "a\nb"}, {"wazuh", "m", "a b"},
	} {
		n := alert.Event(c[0], c[1], c[2])
		if before, is := seen[n]; is {
			t.Errorf("%q and %q are one", before, c)
		}
		seen[n] = strings.Join(c[:], ";")
		units := func(s string) int { return len(utf16.Encode([]rune(s))) }
		if units(n.Type) > hive.MaxAlertType || units(n.Source) > hive.MaxAlertType || units(n.Ref) > hive.MaxSourceRef ||
			n.Type == "" || n.Source == "" || n.Ref == "" || strings.Contains(n.Type+n.Source+n.Ref, ";") {
			t.Errorf("%+v", n)
		}
	}
	if got := alert.Event("wazuh", "manager01", "4711"); got != (alert.Name{Type: "wazuh", Source: "manager01", Ref: "4711"}) {
		t.Errorf("%+v", got)
	}
}
