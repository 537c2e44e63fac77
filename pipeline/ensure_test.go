package pipeline

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sourcegraph/conc"

	"forager/pipeline/kvledger"
	"forager/pipeline/natstest"
	"forager/pipeline/stream"
)

func TestEnsureMayRunInManyWorkersAtOnce(t *testing.T) {
	r := newRig(t, nil)
	var workers conc.WaitGroup
	errs := make(chan error, 8)
	for range cap(errs) {
		workers.Go(func() { errs <- stream.Ensure(t.Context(), r.link, r.options.Streams()) })
	}
	workers.Wait()
	close(errs)
	for err := range errs {
		if err != nil {
			t.Error(err)
		}
	}
	trusted, err := kvledger.New(r.link, kvledger.Options{Young: time.Hour}).Trusted(t.Context())
	must(t, err)
	if !trusted {
		t.Error("the ledger does not say that it is initialised")
	}
}

func TestEnsureLeavesWhatIsThere(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	consumer := r.consumer().Config
	consumer.AckWait = 77 * time.Second
	if _, err := r.js.UpdateConsumer(t.Context(), "DET", consumer); err != nil {
		t.Fatal(err)
	}
	r.ensure()
	if got := r.consumer().Config.AckWait; got != 77*time.Second {
		t.Errorf("ack wait is %v: somebody else's configuration was changed", got)
	}
}

func TestLostLedgerIsNotMadeAnewByItself(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	r.publish(alert{ID: "a", Keys: []string{"k"}})
	_, stop := r.start()
	r.ended(1)
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	if err := r.js.DeleteKeyValue(t.Context(), stream.DefaultBucket); err != nil {
		t.Fatal(err)
	}
	if err := stream.Ensure(t.Context(), r.link, r.options.Streams()); !errors.Is(err, stream.ErrLedgerGone) {
		t.Errorf("ensure: %v, want stream.ErrLedgerGone", err)
	}
	w, _ := r.start()
	r.seen.until(t, "a second attempt", func() bool { return r.seen.heard(NoticeRebound) >= 2 })
	if ok, reasons := w.Ready(); ok || !strings.Contains(strings.Join(reasons, ";"), "ledger bucket is missing") {
		t.Errorf("ready %v, reasons %q", ok, reasons)
	}
}

// least is what the worker may do when it manages nothing, and no more.
func least(o *server.Options) {
	publish := []string{
		"$JS.API.CONSUMER.INFO.DET.worker", "$JS.API.CONSUMER.MSG.NEXT.DET.worker", "$JS.ACK.DET.worker.>", "$JS.ACK.*.*.DET.worker.>",
		"forager.dlq.DET.>", "$JS.API.STREAM.INFO.FORAGER_DLQ", "$JS.API.DIRECT.GET.FORAGER_DLQ.>",
		"$JS.API.STREAM.INFO.KV_FORAGER_LEDGER", "$KV.FORAGER_LEDGER.>", "$JS.API.DIRECT.GET.KV_FORAGER_LEDGER.$KV.FORAGER_LEDGER.>",
	}
	o.Users = []*server.User{
		{Username: "admin", Password: "a"},
		{Username: "worker", Password: "w", Permissions: &server.Permissions{
			Publish:   &server.SubjectPermission{Allow: publish},
			Subscribe: &server.SubjectPermission{Allow: []string{"_INBOX_worker.>"}},
		}},
	}
}

func connectAs(t *testing.T, s *natstest.Server, c stream.Connection) *stream.Link {
	t.Helper()
	c.URLs = []string{s.URL()}
	link, err := stream.Connect(t.Context(), c, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(link.Close)
	return link
}

func TestLeastPermissionsSufficeAndViolationsAreVisible(t *testing.T) {
	s, err := natstest.Start(t.TempDir(), natstest.With(least))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	admin := connectAs(t, s, stream.Connection{User: "admin", Password: "a"})
	r := &rig{t: t, server: s, link: admin, js: admin.JetStream(), applier: &scripted{}, seen: newEnds()}
	r.options = Options{Topology: stream.Topology{Stream: "DET", Consumer: "worker", Subjects: []string{"alerts.>"}, Manage: true}, Observer: r.seen}
	r.ensure()
	r.publish(alert{ID: "a", Keys: []string{"k"}})
	r.publishRaw("alerts.x", []byte("not json"))
	r.link = connectAs(t, s, stream.Connection{User: "worker", Password: "w", InboxPrefix: "_INBOX_worker"})
	r.options.Manage = false
	w, _ := r.start()
	r.ended(2)
	if ok, reasons := w.Ready(); !ok {
		t.Errorf("not ready: %q", reasons)
	}
	storeDead(t, r, "twice", time.UnixMilli(1))
	storeDead(t, r, "twice", time.UnixMilli(1))
	ledger := kvledger.New(r.link, kvledger.Options{Timeout: time.Second})
	if _, err := ledger.Put(t.Context(), "key.a", []byte("{}"), 0); err != nil {
		t.Error(err)
	}
	_, err = kvledger.New(r.link, kvledger.Options{Bucket: "OTHER", Timeout: time.Second}).Trusted(t.Context())
	if err == nil || !strings.Contains(err.Error(), "publish to $JS.API.STREAM.INFO.KV_OTHER") {
		t.Errorf("the error of a refused request does not say so: %v", err)
	}
	if ok, _ := w.Ready(); ok {
		t.Error("ready although the server refuses a subject")
	}
}

func TestRefusedCredentialsAtNATSAreTriedForEver(t *testing.T) {
	s, err := natstest.Start(t.TempDir(), natstest.With(least))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	link := connectAs(t, s, stream.Connection{User: "worker", Password: "wrong"})
	r := &rig{t: t, server: s, link: link, applier: &scripted{}, seen: newEnds()}
	r.options = Options{Topology: stream.Topology{Stream: "DET", Consumer: "worker"}, Observer: r.seen, Confirm: 100 * time.Millisecond}
	w, stop := r.start()
	if ok, reasons := w.Ready(); ok || len(reasons) == 0 {
		t.Errorf("ready %v, reasons %q", ok, reasons)
	}
	if link.Conn().IsClosed() {
		t.Error("the client gave up")
	}
	if err := stop(); err != nil {
		t.Errorf("stop: %v", err)
	}
}

func TestImpossibleOptionsAreRefusedNamingFieldAndValue(t *testing.T) {
	r := newRig(t, nil)
	_, err := New(r.link, Options{Topology: stream.Topology{Stream: "a.b", Consumer: "", Manage: true}, MaxInFlight: -1}, decoding{}, planning{}, r.applier)
	for _, want := range []string{`stream "a.b"`, `consumer ""`, "subjects []", "max in flight -1"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v lacks %q", err, want)
		}
	}
	if !errors.Is(err, ErrOptions) {
		t.Errorf("%v is not ErrOptions", err)
	}
	for _, c := range []stream.Connection{{}, {URLs: []string{"nats://x"}, User: "u", Token: "t"}, {URLs: []string{"nats://x"}, NKeySeed: "/nowhere"}} {
		if _, err := stream.Connect(t.Context(), c, nil); !errors.Is(err, stream.ErrConnection) {
			t.Errorf("Connect(%+v) = %v, want ErrConnection", c, err)
		}
	}
}

func TestConsumerThatLosesMessagesIsRefused(t *testing.T) {
	r := newRig(t, nil)
	r.ensure()
	if err := r.js.DeleteConsumer(t.Context(), "DET", "worker"); err != nil {
		t.Fatal(err)
	}
	if _, err := r.js.CreateConsumer(t.Context(), "DET", jetstream.ConsumerConfig{Durable: "worker", AckPolicy: jetstream.AckAllPolicy}); err != nil {
		t.Fatal(err)
	}
	w, _ := r.start()
	r.seen.until(t, "an attempt", func() bool { return r.seen.heard(NoticeRebound) >= 1 })
	if ok, reasons := w.Ready(); ok || !strings.Contains(strings.Join(reasons, ";"), "must be explicit") {
		t.Errorf("ready %v, reasons %q", ok, reasons)
	}
}

// TestEnsureMakesAsManyAndAsLargeAsItIsTold, and without being told, without limits.
func TestEnsureMakesAsManyAndAsLargeAsItIsTold(t *testing.T) {
	for name, c := range map[string]struct {
		told    stream.Topology
		age     time.Duration
		bytes   int64
		letters int64
	}{
		"nothing": {bytes: -1, letters: -1},
		"limits":  {told: stream.Topology{MaxAge: 72 * time.Hour, MaxBytes: 1 << 30, MaxLetters: 1 << 20}, age: 72 * time.Hour, bytes: 1 << 30, letters: 1 << 20},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t, nil)
			told := r.options.Streams()
			told.MaxAge, told.MaxBytes, told.MaxLetters = c.told.MaxAge, c.told.MaxBytes, c.told.MaxLetters
			must(t, stream.Ensure(t.Context(), r.link, told))
			detections, err := r.js.Stream(t.Context(), told.Stream)
			must(t, err)
			letters, err := r.js.Stream(t.Context(), told.WithDefaults().DeadLetters)
			must(t, err)
			d, l := detections.CachedInfo().Config, letters.CachedInfo().Config
			if d.MaxAge != c.age || d.MaxBytes != c.bytes || l.MaxBytes != c.letters || l.MaxAge != 0 {
				t.Errorf("stream %v, %d bytes; letters %v, %d bytes", d.MaxAge, d.MaxBytes, l.MaxAge, l.MaxBytes)
			}
		})
	}
	// One server has no room for three copies: that it says so shows that three were asked for.
	r := newRig(t, nil)
	told := r.options.Streams()
	told.Replicas = 3
	if err := stream.Ensure(t.Context(), r.link, told); err == nil || !strings.Contains(err.Error(), "replicas") {
		t.Errorf("three copies on one server: %v", err)
	}
}
