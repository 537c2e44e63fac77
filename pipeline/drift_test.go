package pipeline

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"forager/pipeline/stream"
)

// TestChangedSubjectsAndAckWaitAreAppliedWithManage: a configuration that was changed takes effect.
func TestChangedSubjectsAndAckWaitAreAppliedWithManage(t *testing.T) {
	for name, c := range map[string]struct {
		before, after   []string
		stream, filters []string
	}{
		"one more":         {[]string{"alerts.>"}, []string{"alerts.>", "edr.>"}, []string{"alerts.>", "edr.>"}, []string{"alerts.>", "edr.>"}},
		"another":          {[]string{"alerts.>"}, []string{"edr.>"}, []string{"alerts.>", "edr.>"}, []string{"edr.>"}},
		"one less":         {[]string{"alerts.>", "edr.>"}, []string{"edr.>"}, []string{"alerts.>", "edr.>"}, []string{"edr.>"}},
		"wider":            {[]string{"alerts.a", "alerts.b"}, []string{"alerts.>"}, []string{"alerts.>"}, []string{"alerts.>"}},
		"narrower":         {[]string{"alerts.>"}, []string{"alerts.a"}, []string{"alerts.>"}, []string{"alerts.a"}},
		"the ack wait":     {[]string{"alerts.>"}, []string{"alerts.>"}, []string{"alerts.>"}, []string{"alerts.>"}},
		"several to fewer": {[]string{"a.>", "b.>", "c.>"}, []string{"a.>", "c.>"}, []string{"a.>", "b.>", "c.>"}, []string{"a.>", "c.>"}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, func(o *Options) { o.Subjects = c.before })
			r.ensure()
			r.options.Subjects, r.options.AckWait = c.after, 5*time.Second
			w, _ := r.start()
			r.seen.until(t, "it consumes", func() bool { ok, _ := w.Ready(); return ok || pokeSoon(r) })
			found, err := r.js.Stream(t.Context(), "DET")
			must(t, err)
			subjects := slices.Sorted(slices.Values(found.CachedInfo().Config.Subjects))
			config := r.consumer().Config
			if diff := cmp.Diff([][]string{c.stream, c.filters}, [][]string{subjects, stream.Filters(config)}); diff != "" {
				t.Error(diff)
			}
			if config.AckWait != 5*time.Second {
				t.Errorf("ack wait %v", config.AckWait)
			}
			lag, err := stream.NewMeter(r.link, r.options.Streams()).Measure(t.Context())
			must(t, err)
			if lag.Drift != "" {
				t.Errorf("still told: %q", lag.Drift)
			}
		})
	}
}

// pokeSoon lets until look again.
func pokeSoon(r *rig) bool {
	time.AfterFunc(20*time.Millisecond, func() { r.seen.Noticed("look again") })
	return false
}

// TestDriftIsToldAndNotAppliedWithoutManage: it belongs to somebody else.
func TestDriftIsToldAndNotAppliedWithoutManage(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	r.options.Manage, r.options.Subjects, r.options.AckWait = false, []string{"alerts.a", "edr.>"}, time.Minute
	w, _ := r.start()
	r.seen.until(t, "it consumes", func() bool { ok, _ := w.Ready(); return ok || pokeSoon(r) })
	if c := r.consumer().Config; c.AckWait != 3*time.Second || c.FilterSubject != "alerts.>" {
		t.Errorf("somebody else's consumer was changed: %v %s", c.AckWait, c.FilterSubject)
	}
	lag, err := stream.NewMeter(r.link, r.options.Streams()).Measure(t.Context())
	must(t, err)
	said := lag.Drift
	for _, want := range []string{"stream DET listens to alerts.>", "edr.>", "consumer worker takes alerts.>, nats.subjects is alerts.a edr.>", "ack_wait is 3s, nats.ackWait is 1m"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q lacks %q", said, want)
		}
	}
}

func TestFiltersOfAWorkQueueAreLeftAlone(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	r.makeWorkQueue()
	o := r.options.WithDefaults()
	o.Subjects = []string{"alerts.a"}
	must(t, stream.Adjust(t.Context(), r.link, o.Topology))
	if got := r.consumer().Config.FilterSubject; got != "alerts.>" {
		t.Errorf("filter %s", got)
	}
}
