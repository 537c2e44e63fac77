package simulation

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sourcegraph/conc"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/service"
	"forager/config"
	"forager/hive"
	"forager/hive/hivetest"
	"forager/pipeline/natstest"
	"forager/pipeline/stream"

	"github.com/nats-io/nats-server/v2/server"
)

// world is both servers, the replicas, an analyst and a forwarder; all of it in one bubble.
type world struct {
	dir      string
	carrier  *conc.WaitGroup // what copies bytes, and what serves
	nats     *natstest.Server
	up       atomic.Bool // NATS
	hive     *hivetest.Hive
	entrance *counter // TheHive's
	http     *http.Server
	hooks    *http.Transport // of TheHive's webhook
	analyst  *hive.Client
	desk     *http.Transport // the analyst's
	link     *stream.Link    // the forwarder's and the judge's
	own      *wires          // of the link
	replicas []*replica
	log      *logbook
	faults   map[int]event // active, by a number of their own
	last     int
	older    int         // replicas with other limits of time
	narrow   int         // replicas that make one call at a time
	rules    []byte      // of the replicas' configuration
	saved    string      // a copy of NATS' store; empty is none
	deaf     atomic.Bool // no document of the webhook arrives
	calm     bool        // nothing befalls the replicas and NATS
}

// logbook keeps what the replicas said, with the virtual time.
type logbook struct {
	mu    sync.Mutex
	lines []string
}

func (l *logbook) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.lines = append(l.lines, string(p))
	return len(p), nil
}

// Sync has nothing to do.
func (l *logbook) Sync() error { return nil }

func (l *logbook) logger(who string) *zap.Logger {
	c := zap.NewProductionEncoderConfig()
	c.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	return zap.New(zapcore.NewCore(zapcore.NewJSONEncoder(c), l, zap.InfoLevel)).With(zap.String("replica", who))
}

// beginning is when every run begins. The bubble's clock begins before the year 2000 has ended, and events of then would
// have no time that is believed.
var beginning = time.Date(2030, 1, 7, 8, 0, 0, 0, time.UTC)

const (
	streamName   = "DETECTIONS"
	consumerName = "forager"
	hookToken    = "tok"
)

func newWorld(ctx context.Context, s schedule) (w *world, err error) {
	w = &world{carrier: &conc.WaitGroup{}, entrance: newCounter(), log: &logbook{}, calm: true, faults: map[int]event{}, older: s.Older, narrow: s.Narrow}
	var cortex []string
	if s.Analyses {
		w.rules, cortex = []byte(analyses), []string{"local"}
	}
	if w.dir, err = os.MkdirTemp("", "forager-simulation-"); err != nil {
		return w, err
	}
	if w.nats, err = natstest.Start(filepath.Join(w.dir, "nats"), natstest.With(func(o *server.Options) {
		o.DontListen, o.SyncInterval = true, 10000*time.Hour
	})); err != nil {
		return w, err
	}
	w.up.Store(true)
	w.hooks = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return w.toHook(ctx) }}
	w.hive = hivetest.New(hivetest.Options{
		Seed: s.Seed, Cortex: cortex, JobTime: s.JobTime, Webhooks: []hivetest.Webhook{{URL: "http://forager.test/hooks/thehive", Version: 1, Bearer: hookToken, Transport: w.hooks}},
		Users: []hivetest.User{{Login: "analyst@thehive.local", APIKey: "analyst", Memberships: []hivetest.Membership{{Organisation: hivetest.DefaultOrganisation, Profile: "analyst"}}}},
	})
	w.http = &http.Server{Handler: w.hive, ReadHeaderTimeout: time.Minute}
	w.carrier.Go(func() { _ = w.http.Serve(w.entrance) })
	w.desk = &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return w.entrance.reach(ctx) }}
	if w.analyst, err = hive.New(hive.Options{URL: "http://127.0.0.1:9000", APIKey: "analyst", Transport: w.desk}); err != nil {
		return w, err
	}
	w.own = newWires(w.carrier, w.toNATS)
	if w.link, err = stream.Connect(ctx, stream.Connection{URLs: []string{"nats://127.0.0.1:4222"}, Dial: w.own.dialNATS}, nil); err != nil {
		return w, err
	}
	for n := range s.Replicas {
		r := &replica{world: w, number: n}
		w.replicas = append(w.replicas, r)
		if err := r.start(ctx); err != nil {
			return w, err
		}
	}
	return w, stream.Ensure(ctx, w.link, w.replicas[0].topology)
}

func (w *world) toNATS(context.Context) (net.Conn, error) {
	if !w.up.Load() {
		return nil, errRefused
	}
	return w.nats.Dial()
}

// toHook connects to the first replica that is there, as a service of Kubernetes does.
func (w *world) toHook(ctx context.Context) (net.Conn, error) {
	if w.deaf.Load() {
		return nil, errRefused
	}
	for _, r := range w.replicas {
		if conn, err := r.hookConn(ctx); err == nil {
			return conn, nil
		}
	}
	return nil, errRefused
}

func (w *wires) dialNATS(network, address string) (net.Conn, error) {
	return w.dial(context.Background(), network, address)
}

// reboot stops NATS, and starts it after a while with what it has stored; between may change that.
func (w *world) reboot(after time.Duration, between func(dir string) error) error {
	w.up.Store(false)
	w.nats.Close()
	<-time.After(after)
	if between != nil {
		if err := between(filepath.Join(w.dir, "nats")); err != nil {
			return err
		}
	}
	err := w.nats.Restart()
	w.up.Store(err == nil)
	return err
}

// Close ends all, and waits for every goroutine.
func (w *world) Close() error {
	var errs []error
	for _, r := range w.replicas {
		errs = append(errs, r.stop())
	}
	if w.link != nil {
		w.link.Close()
	}
	if w.analyst != nil {
		w.desk.CloseIdleConnections()
		w.hive.Delivered()
		w.hooks.CloseIdleConnections()
		errs = append(errs, w.http.Close(), w.entrance.Close())
	}
	if w.nats != nil {
		w.nats.Close()
	}
	w.carrier.Wait()
	return errors.Join(append(errs, os.RemoveAll(w.dir))...)
}

// replica is one worker. It dies, and comes again as another process would.
type replica struct {
	world    *world
	number   int
	life     int
	nats     *wires
	hive     *wires
	topology stream.Topology
	service  *service.Service
	hangup   chan os.Signal
	rules    int // of which variant

	mu    sync.Mutex
	hooks *counter
	end   func() error
}

func (r *replica) hookConn(ctx context.Context) (net.Conn, error) {
	r.mu.Lock()
	c := r.hooks
	r.mu.Unlock()
	if c == nil {
		return nil, errRefused
	}
	return c.reach(ctx)
}

// environment is how the worker is configured: as an operator would leave it, but for the window.
func environment() []string {
	return []string{
		"FORAGER_NATS_URL=nats://127.0.0.1:4222", "FORAGER_NATS_STREAM=" + streamName, "FORAGER_NATS_CONSUMER=" + consumerName,
		"FORAGER_NATS_SUBJECTS=detections.>", "FORAGER_NATS_MANAGE=true",
		"FORAGER_HIVE_URL=http://127.0.0.1:9000", "FORAGER_HIVE_API_KEY=" + hivetest.DefaultAPIKey,
		"FORAGER_CASE_WINDOW=" + window.String(), "FORAGER_WEBHOOK_ADDR=forager.test:80", "FORAGER_WEBHOOK_TOKEN=" + hookToken,
		"FORAGER_LIMITS_NEW_CASES_PER_KEY=0", "FORAGER_LIMITS_TAGS_PER_CASE=1000",
	}
}

// analyses let one analyzer look at addresses, and another at names, which are indicators for it.
const analyses = `
routes:
  - name: all
    analyze:
      - {analyzer: virustotal, types: [ip], markIOC: true}
      - {analyzer: Abuse_Finder_3_0, types: [fqdn, domain], raise: critical, markIOC: true}
`

func (r *replica) load(*rulefiles.Witness) (*config.Config, error) {
	env := environment()
	if r.number < r.world.older {
		env = append(env, "FORAGER_LEDGER_LEASE=20s", "FORAGER_HIVE_TIMEOUT=8s", "FORAGER_HIVE_SETTLE=40s", "FORAGER_HIVE_CONCURRENCY=3")
	}
	if r.number < r.world.narrow {
		env = append(env, "FORAGER_HIVE_CONCURRENCY=1")
	}
	c, err := config.Load(config.Source{Text: r.world.rules, Env: env, Connects: []string{config.ToNATS, config.ToHive, config.ToWebhook}})
	if err != nil {
		return nil, err
	}
	if r.rules == 1 {
		c.Case.Raw = "none" // changes what is written, and nothing that the judge looks at
	}
	return c, nil
}

// start makes a worker and lets it run.
func (r *replica) start(ctx context.Context) error {
	w := r.world
	r.life++
	r.nats = newWires(w.carrier, w.toNATS)
	r.nats.shy = true
	r.hive = newWires(w.carrier, w.entrance.reach)
	r.hangup = make(chan os.Signal, 1)
	hooks := newCounter()
	files := rulefiles.NewWitness()
	c, err := r.load(files)
	if err != nil {
		return err
	}
	log := w.log.logger(fmt.Sprintf("%d.%d", r.number, r.life))
	options := service.PipelineOptions(c, log)
	r.topology = options.Streams()
	net := service.Network{NATS: r.nats.dialNATS, Hive: r.hive.dial, Hooks: func(string) (net.Listener, error) { return hooks, nil }}
	s, err := net.New(ctx, c, files, options)
	if err != nil {
		return err
	}
	s.ReloadsBy(r.hangup, c, files, r.load, zap.NewAtomicLevel())
	r.service = s
	working, stop := context.WithCancel(context.WithoutCancel(ctx))
	var running conc.WaitGroup
	var failed error
	running.Go(func() { failed = s.Run(working) })
	r.mu.Lock()
	defer r.mu.Unlock()
	r.hooks = hooks
	r.end = sync.OnceValue(func() error {
		stop()
		running.Wait()
		s.Close()
		return errors.Join(failed, hooks.Close())
	})
	return nil
}

// leave takes the replica out, and gives what ends it.
func (r *replica) leave() func() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	end := r.end
	r.hooks, r.end = nil, nil
	if end == nil {
		end = func() error { return nil }
	}
	return end
}

// stop ends the worker in order.
func (r *replica) stop() error { return r.leave()() }

// kill cuts the worker off from everything, for ever, which is all that a killed process is to others.
func (r *replica) kill() {
	for _, w := range []*wires{r.nats, r.hive} {
		w.refuse(true)
		w.thaw()
		w.cut()
	}
	end := r.leave()
	r.world.carrier.Go(func() { _ = end() })
}

// lateBy is how long after its request a write takes effect that does so late.
const lateBy = 8 * time.Second

// misbehave sets what the active faults of TheHive are together.
func (w *world) misbehave() {
	m, dark, deaf := hivetest.Misbehaviour{Latency: 5 * time.Millisecond, Jitter: 20 * time.Millisecond}, false, false
	for _, f := range w.faults {
		switch f.Kind {
		case refuses:
			m.Refuse = f.Much
		case loses:
			m.Ambiguous = f.Much
			m.AmbiguousBy = []int{0, 502, 504}[f.Who%3]
		case commits:
			m.LateCommit, m.LateAfter = f.Much, cmp.Or(f.Late, lateBy)
		case resets:
			m.Reset = f.Much
		case slows:
			m.Latency = max(m.Latency, time.Duration(f.Much*float64(time.Second)))
		case lags:
			m.Lag = max(m.Lag, time.Duration(f.Much*float64(time.Second)))
		case childlags:
			m.Lag, m.LagChildren = max(m.Lag, time.Duration(f.Much*float64(time.Second))), true
		case lies:
			m.Wrong = f.Much
		case darkens:
			dark = true
		case deafens:
			deaf = true
		default:
		}
	}
	w.deaf.Store(deaf)
	for _, f := range w.faults {
		if f.Kind == forgets && len(w.faults) == 1 && w.calm {
			m.Lag = 10000 * time.Hour
		}
	}
	w.hive.Set(m)
	for _, r := range w.replicas {
		if r.lives() {
			r.hive.refuse(dark)
			if dark {
				r.hive.cut()
			}
		}
	}
}

// quietly does something at TheHive without its faults.
func (w *world) quietly(do func() error) error {
	w.hive.Set(hivetest.Misbehaviour{})
	defer w.misbehave()
	return do()
}

// disturb notes that replicas or NATS are in trouble, or not. TheHive's index forgets nothing then, nor beside another
// fault: a case whose answer is lost and which no search will ever show is nobody's to find, and the contract says so.
func (w *world) disturb(on bool) {
	w.calm = !on
	w.misbehave()
}

// begin lets a fault begin; what ends it is the result.
func (w *world) begin(e event) (over func()) {
	w.last++
	id := w.last
	w.faults[id] = e
	w.misbehave()
	return func() {
		delete(w.faults, id)
		w.misbehave()
	}
}

// publish stores a message, however often that must be tried; a forwarder whose confirmation is lost sends it again.
func (w *world) publish(ctx context.Context, body []byte) (uint64, error) {
	for try := 0; ; try++ {
		ack, err := w.link.JetStream().Publish(ctx, "detections.test", body)
		if err == nil {
			return ack.Sequence, nil
		}
		if try == 100 {
			return 0, fmt.Errorf("publish: %w", err)
		}
		<-time.After(time.Second)
	}
}

// toJSON is the text of what can always be written.
func toJSON(v any) []byte {
	text, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return text
}
