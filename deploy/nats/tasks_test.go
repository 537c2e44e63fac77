package nats

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/sourcegraph/conc"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/pipeline"
	"forager/pipeline/deadletter"
	"forager/pipeline/kvledger"
	"forager/pipeline/objects"
	"forager/pipeline/stream"
)

// options are the worker's defaults.
func options() pipeline.Options {
	return pipeline.Options{
		Topology:    stream.Topology{Stream: "DETECTIONS", Consumer: "forager", Subjects: []string{"detections.>"}},
		Concurrency: 2, Drain: time.Second,
	}
}

const event = `{"schema":"forager.detection/v1","id":"d-1","time":"2026-03-02T08:12:40Z","title":"One","severity":2,"host":"web01"}`

// consume is what a worker does all day: work a message, claim in the ledger, and make a dead
// letter of what cannot be read, twice, since another letter has its subject.
func consume(ctx context.Context, s *site) error {
	if err := stream.Ensure(ctx, s.admin, options().Streams()); err != nil {
		return err
	}
	js, err := s.jetStream("admin")
	if err != nil {
		return err
	}
	for _, m := range []struct{ subject, body string }{
		{"forager.dlq.DETECTIONS.2", "a letter of a stream that had this name"},
		{"detections.native", event},
		{"detections.native", "{broken"},
	} {
		if _, err := js.Publish(ctx, m.subject, []byte(m.body)); err != nil {
			return err
		}
	}
	return errors.Join(work(ctx, s, options(), 2), keep(ctx, s))
}

// keep is what a worker does beside: measure its lag, and go through the ledger's keys.
func keep(ctx context.Context, s *site) error {
	if _, err := stream.NewMeter(s.worker, options().Streams()).Measure(ctx); err != nil {
		return err
	}
	ledger := kvledger.New(s.worker, kvledger.Options{})
	if _, err := ledger.Put(ctx, "key.kept", []byte("{}"), 0); err != nil {
		return err
	}
	for _, err := range ledger.Keys(ctx) {
		return errors.Join(err, s.unread(ctx, "KV_FORAGER_LEDGER", 0), follow(ctx, ledger))
	}
	return errors.New("no key of the ledger was listed")
}

// renewals are so many that the server asks the watch in between how far it is, as it does now and then
// in a worker's life: who may not answer hears nothing more.
const renewals, renewalBytes = 300, 64 << 10

// follow is what a worker hears of the sessions of others.
func follow(ctx context.Context, ledger *kvledger.Ledger) error {
	ctx, stop := context.WithTimeout(ctx, 20*time.Second)
	defer stop()
	const last = "session.last"
	heard := false
	var watching conc.WaitGroup
	watching.Go(func() {
		_ = ledger.Watch(ctx, "session.", func(key string, _ []byte, _ uint64) {
			if key == last {
				heard = true
				stop()
			}
		})
	})
	var failed error
	revision, value := uint64(0), []byte(strings.Repeat("x", renewalBytes))
	for range renewals {
		if revision, failed = ledger.Put(ctx, "session.other", value, revision); failed != nil {
			break
		}
	}
	if failed == nil {
		_, failed = ledger.Put(context.WithoutCancel(ctx), last, value, 0)
	}
	watching.Wait()
	if !heard || failed != nil {
		return errors.Join(errors.New("the last renewal of a session was not heard"), failed)
	}
	return nil
}

// manage is the same where nothing is there yet; the consumer may have one subject or several.
func manage(ctx context.Context, s *site) error {
	one, several := options(), options()
	several.Subjects = []string{"detections.a", "detections.b"}
	for _, o := range []pipeline.Options{one, several} {
		if err := s.clear(ctx); err != nil {
			return err
		}
		o.Manage = true
		if err := stream.Ensure(ctx, s.worker, o.Streams()); err != nil {
			return err
		}
	}
	return nil
}

// work runs a worker until it settled so many messages.
func work(ctx context.Context, s *site, o pipeline.Options, messages int) error {
	decoder, err := detection.New(detection.Options{})
	if err != nil {
		return err
	}
	settled := make(settlements, messages)
	o.Observer = settled
	ledger := kvledger.New(s.worker, kvledger.Options{})
	w, err := pipeline.New(s.worker, o, decoder, enrich.NewPlanner(enrich.PlannerOptions{}), claiming{ledger})
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	var running conc.WaitGroup
	defer running.Wait()
	running.Go(func() { _ = w.Run(ctx) })
	defer stop()
	for range messages {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-settled:
		}
	}
	return nil
}

// settlements takes what was settled for good.
type settlements chan struct{}

func (s settlements) Settled(v pipeline.Settlement) {
	if v.Action != pipeline.ActionNak {
		s <- struct{}{}
	}
}
func (settlements) Gate(bool, string) {}
func (settlements) Noticed(string)    {}

// claiming is an applier that uses the ledger as the real one does, and has no TheHive.
type claiming struct{ ledger *kvledger.Ledger }

func (c claiming) Apply(ctx context.Context, b enrich.Batch) []error {
	errs := make([]error, len(b.Plans))
	for i := range b.Plans {
		errs[i] = c.claim(ctx, "key."+b.Queue)
	}
	return errs
}

func (c claiming) claim(ctx context.Context, key string) error {
	if _, err := c.ledger.Trusted(ctx); err != nil {
		return err
	}
	if _, err := c.ledger.Put(ctx, key, []byte("{}"), 0); err != nil {
		return err
	}
	_, revision, err := c.ledger.Get(ctx, key)
	if err != nil {
		return err
	}
	return c.ledger.Purge(ctx, key, revision)
}

// letters does what "worker dlq" does.
func letters(ctx context.Context, s *site) error {
	if err := stream.Ensure(ctx, s.admin, options().Streams()); err != nil {
		return err
	}
	js, err := s.jetStream("admin")
	if err != nil {
		return err
	}
	if _, err := js.Publish(ctx, "detections.native", []byte("{broken")); err != nil {
		return err
	}
	admin := *s
	admin.worker = s.admin
	if err := work(ctx, &admin, options(), 1); err != nil {
		return err
	}
	box := deadletter.Open(s.worker, "")
	n := 0
	for letter, err := range box.List(ctx, deadletter.Filter{}) {
		if err != nil {
			return err
		}
		if letter, err = box.Get(ctx, letter.Number); err != nil {
			return err
		}
		if err := box.Requeue(ctx, letter); err != nil { // purges it, too
			return err
		}
		n++
	}
	if n != 1 {
		return fmt.Errorf("%d letters, want one", n)
	}
	return nil
}

// files reads a file of many chunks.
func files(ctx context.Context, s *site) error {
	admin, err := s.jetStream("admin")
	if err != nil {
		return err
	}
	bucket, err := admin.CreateObjectStore(ctx, jetstream.ObjectStoreConfig{Bucket: "FORAGER_FILES", Storage: jetstream.MemoryStorage})
	if err != nil {
		return err
	}
	content := strings.Repeat("sixteen bytes ..", 1<<19)
	if _, err := bucket.PutString(ctx, "host/dump.bin", content); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	object, err := objects.New(s.worker).Find(ctx, "FORAGER_FILES/host/dump.bin")
	if err != nil {
		return err
	}
	file, err := object.Open(ctx)
	if err != nil {
		return err
	}
	defer file.Close()
	got, err := io.ReadAll(file)
	if err == nil && string(got) != content {
		err = errors.New("another file")
	}
	return errors.Join(err, file.Close(), s.unread(ctx, "OBJ_FORAGER_FILES", 0))
}
