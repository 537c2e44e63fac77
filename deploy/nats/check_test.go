package nats

import (
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"forager/pipeline/audit"
	"forager/pipeline/inspect"
	"forager/pipeline/stream"
)

// TestCheckNamesTheLineThatIsMissing: the inspection of "worker check --connect" works with what a
// worker may do and no more, misses nothing then, and without a line it names that line.
func TestCheckNamesTheLineThatIsMissing(t *testing.T) {
	t.Parallel()
	all := readPermissions(t)
	for name, c := range map[string]struct {
		on     []string
		change func(*inspect.Expected)
	}{
		"FORAGER_BIND":    {nil, func(*inspect.Expected) {}},
		"FORAGER_MANAGE":  {[]string{"FORAGER_BIND"}, func(i *inspect.Expected) { i.Manage = true }},
		"FORAGER_JOURNAL": {[]string{"FORAGER_BIND"}, func(i *inspect.Expected) { i.Journal = "FORAGER_JOURNAL" }},
		"FORAGER_HOLD":    {[]string{"FORAGER_BIND"}, func(i *inspect.Expected) { i.Holds = time.Hour }},
		"FORAGER_HOLD_MANAGE": {[]string{"FORAGER_BIND", "FORAGER_MANAGE", "FORAGER_HOLD"}, func(i *inspect.Expected) {
			i.Holds, i.Manage = time.Hour, true
		}},
		"FORAGER_AUDIT": {[]string{"FORAGER_BIND"}, func(i *inspect.Expected) { i.Audit = &audit.Options{} }},
		"FORAGER_AUDIT_MANAGE": {[]string{"FORAGER_BIND", "FORAGER_AUDIT"}, func(i *inspect.Expected) {
			i.Audit = &audit.Options{Manage: true}
		}},
		"FORAGER_FEEDBACK": {[]string{"FORAGER_BIND"}, func(i *inspect.Expected) {
			i.Feedback = &inspect.Feedback{Stream: "FORAGER_FEEDBACK", Subject: "forager.feedback"}
		}},
		"FORAGER_FEEDBACK_MANAGE": {[]string{"FORAGER_BIND", "FORAGER_FEEDBACK"}, func(i *inspect.Expected) {
			i.Feedback = &inspect.Feedback{Stream: "FORAGER_FEEDBACK", Subject: "forager.feedback", Manage: true}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			whole := part{on: c.on}.base(all).with(all[name])
			for _, v2 := range []bool{false, true} {
				if missed := missedBy(t, whole, v2, c.change); len(missed) > 0 {
					t.Errorf("with all lines, js_ack_fc_v2 %v, it misses %q", v2, missed)
				}
			}
			own := all[name]
			for _, line := range slices.Concat(own.publish, own.subscribe) {
				t.Run(line, func(t *testing.T) {
					t.Parallel()
					if missed := missedBy(t, whole.without(line), false, c.change); !slices.Equal(missed, []string{line}) {
						t.Errorf("without it, it misses %q", missed)
					}
				})
			}
		})
	}
}

// missedBy are the lines that the inspection misses, with one subject to consume or several.
func missedBy(t *testing.T, a allowed, v2 bool, change func(*inspect.Expected)) []string {
	t.Helper()
	s := &site{t: t, server: startServer(t, &server.User{Username: "forager", Password: password, Permissions: &server.Permissions{
		Publish: only(a.publish), Subscribe: only(a.subscribe),
	}}, v2)}
	s.admin, s.worker = s.connect("admin"), s.connect("forager")
	if err := stream.Ensure(t.Context(), s.admin, options().Streams()); err != nil {
		t.Fatal(err)
	}
	var missed []string
	for _, subjects := range [][]string{{"detections.>"}, {"detections.a", "detections.b"}} {
		what := options().Expected()
		what.Subjects = subjects
		change(&what)
		found, err := inspect.Inspect(t.Context(), s.worker, what)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range found {
			if f.About == "permissions" && f.Level.Exceeds(inspect.LevelNote) && !slices.Contains(missed, f.Line) {
				missed = append(missed, f.Line)
			}
		}
	}
	return missed
}
