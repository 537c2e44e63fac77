package rollback_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/nats-io/nats-server/v2/server"

	"forager/pipeline/kvledger"
	"forager/pipeline/natstest"
	"forager/pipeline/rollback"
	"forager/pipeline/stream"
)

// TestWhatIsNoRollbackIsNotTold: limits, purges, deletions and restarts take messages away too, and lose none that was not to go.
func TestWhatIsNoRollbackIsNotTold(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	js := s.link.JetStream()
	d, err := js.Stream(t.Context(), "D")
	if err != nil {
		t.Fatal(err)
	}
	for _, step := range []func() error{
		func() error { return nil },
		func() error { return d.DeleteMsg(t.Context(), s.last) },
		func() error { return d.Purge(t.Context()) },
		func() error { s.save(); return nil },
		func() error { return d.DeleteMsg(t.Context(), s.last) },
		func() error { s.begin(); return nil },
		func() error {
			config := d.CachedInfo().Config
			config.MaxMsgs = 3
			_, err := js.UpdateStream(t.Context(), config)
			return err
		},
	} {
		s.publish(20)
		s.claim(5)
		s.settle()
		s.look()
		if err := step(); err != nil {
			t.Fatal(err)
		}
		s.look()
		s.publish(7)
		s.look()
	}
	if told := s.told(0); len(told) > 0 {
		t.Errorf("told: %v", told)
	}
}

// TestAQuietLookAsksForLittle: where nothing moves, most looks ask where stream and bucket end, and no more. Once something does, all is read.
func TestAQuietLookAsksForLittle(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.publish(3)
	s.settle()
	s.look()
	s.look()
	asked := func(looks int) uint64 {
		before := s.link.Conn().Stats().OutMsgs
		for range looks {
			s.look()
		}
		return s.link.Conn().Stats().OutMsgs - before
	}
	if quiet := asked(30); quiet > 30*3 {
		t.Errorf("30 looks ask %d times", quiet)
	}
	s.publish(1)
	s.look()
	r, _, err := rollback.Read(t.Context(), s.ledger, "D")
	if err != nil {
		t.Fatal(err)
	}
	if r.Stream.Last != s.last {
		t.Errorf("the ledger says that the stream ends with %d, not %d", r.Stream.Last, s.last)
	}
}

// TestAStreamMadeAnewIsNamed, and so is a bucket.
func TestAStreamMadeAnewIsNamed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.publish(30)
	s.settle()
	s.look()
	s.look()
	if err := s.link.JetStream().DeleteStream(t.Context(), "D"); err != nil {
		t.Fatal(err)
	}
	if err := stream.EnsureStreams(t.Context(), s.link, s.topology); err != nil {
		t.Fatal(err)
	}
	s.publish(3)
	s.look()
	s.look()
	if diff := cmp.Diff([]string{"stream made anew 1-30 (30) atMost=false"}, s.told(0)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if notes := s.watch.Notes(); len(notes) != 1 || !strings.Contains(notes[0], "at least 30 of its messages were settled") {
		t.Errorf("notes %v", notes)
	}
	if err := s.link.JetStream().DeleteKeyValue(t.Context(), s.topology.Bucket); err != nil {
		t.Fatal(err)
	}
	topology := s.topology
	topology.Stream, topology.Consumer, topology.Subjects = "E", "e", []string{"e.>"}
	if err := stream.Ensure(t.Context(), s.link, topology); err != nil {
		t.Fatal(err)
	}
	s.look()
	if told := s.told(1); len(told) != 1 || !strings.HasPrefix(told[0], "ledger made anew 1-") {
		t.Errorf("told %v", told)
	}
}

// TestBlindItStillSeesAStreamThatEndsEarlier: without the right to read a message the worker is ready, and what is seen
// without reading is told.
func TestBlindItStillSeesAStreamThatEndsEarlier(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	if err := s.server.Restart(natstest.With(func(o *server.Options) {
		o.Users = []*server.User{{Username: "w", Password: "p", Permissions: &server.Permissions{Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.MSG.GET.>"}}}}}
		o.NoAuthUser = "w"
	})); err != nil {
		t.Fatal(err)
	}
	s.restart()
	s.publish(5)
	s.settle()
	s.look()
	s.save()
	s.publish(10)
	s.settle()
	s.look() // refused
	if v := s.link.Violations(); len(v) > 0 {
		t.Errorf("a worker would not be ready: %v", v)
	}
	s.putBack(streamStore)
	s.look()
	if diff := cmp.Diff([]string{"stream went back 6-15 (10) atMost=false"}, s.told(0)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestAnIncidentIsReadByWhoAsksNoReplica: the ledger has it for "worker status", and it stands for a day.
func TestAnIncidentIsReadByWhoAsksNoReplica(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.publish(5)
	s.look()
	s.save()
	s.publish(1)
	s.settle()
	s.putBack(streamStore)
	s.look()
	r, _, err := rollback.Read(t.Context(), s.ledger, "D")
	if err != nil {
		t.Fatal(err)
	}
	if len(r.Incidents) != 1 {
		t.Fatalf("incidents %v", r.Incidents)
	}
	noticed := r.Incidents[0].Noticed
	for _, c := range []struct {
		after time.Duration
		want  int
	}{{0, 1}, {23 * time.Hour, 1}, {24 * time.Hour, 0}} {
		if got := len(rollback.Recent(r.Incidents, noticed.Add(c.after))); got != c.want {
			t.Errorf("after %s: %d incidents stand, want %d", c.after, got, c.want)
		}
	}
	if text := r.Incidents[0].String(); !strings.Contains(text, "messages 6 to 6 (1) are gone") {
		t.Errorf("text %q", text)
	}
}

// TestAMirrorThatHearsNothingIsNamed while it lasts, and not once it has caught up.
func TestAMirrorThatHearsNothingIsNamed(t *testing.T) {
	t.Parallel()
	if kinds := rollback.Kinds(); !slices.Contains(kinds, rollback.MirrorLags) {
		t.Errorf("kinds %v", kinds)
	}
	i := rollback.Incident{Kind: rollback.MirrorLags, About: "D", Count: 7}
	if text := fmt.Sprint(i); !strings.Contains(text, "7 messages behind") {
		t.Errorf("text %q", text)
	}
}

// lagging is a ledger whose reads come from a copy that is behind.
type lagging struct {
	*kvledger.Ledger

	behind bool
	value  []byte
	at     uint64
}

func (l *lagging) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	if l.behind {
		return l.value, l.at, nil
	}
	value, revision, err := l.Ledger.Get(ctx, key)
	l.value, l.at = value, revision
	return value, revision, err
}

// TestACopyThatLagsIsNoRollback: what a follower of the bucket does not have yet is not gone.
func TestACopyThatLagsIsNoRollback(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	l := &lagging{Ledger: s.ledger}
	s.watch = rollback.New(s.link, l, rollback.Options{Topology: s.topology, Every: time.Nanosecond})
	s.publish(3)
	s.look()
	s.look() // l knows the entry of the first look
	for range 3 {
		s.publish(1)
		s.look()
	}
	l.behind, l.at = true, 1
	s.publish(1)
	s.look()
	s.look()
	if told := s.told(0); len(told) > 0 {
		t.Errorf("told %v", told)
	}
}

// TestWhatWasStoredBeforeTheServerWasAwayIsLookedAt, however many longer times without a message there were.
func TestWhatWasStoredBeforeTheServerWasAwayIsLookedAt(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.publish(1)
	s.look()
	stored := time.Now().Add(time.Minute)
	s.watch.Settled(2, stored)
	s.save() // the server goes, and is back
	for n := range uint64(20) {
		stored = stored.Add(time.Duration(n) * time.Hour)
		s.watch.Settled(3+n, stored)
	}
	if anchors := s.watch.Anchors(); !slices.Contains(anchors, 2) || len(anchors) > 9 {
		t.Errorf("looked at: %d", anchors)
	}
}
