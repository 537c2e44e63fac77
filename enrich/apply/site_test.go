package apply_test

import (
	"context"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sourcegraph/conc"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/claim/claimtest"
	"forager/enrich/detection"
	"forager/enrich/detection/canon"
	"forager/hive"
	"forager/hive/hivetest"
)

// site is a TheHive that lives in memory, reached by real HTTP over pipes, so that it can stand in
// a bubble of virtual time, and the ledger that all workers share.
type site struct {
	hive   *hivetest.Hive
	ledger *claimtest.Memory
	pipes  *pipes
	wg     conc.WaitGroup
}

func newSite(t *testing.T, o hivetest.Options) *site {
	t.Helper()
	s := &site{hive: hivetest.New(o), ledger: claimtest.New(), pipes: newPipes()}
	server := &http.Server{Handler: s.hive, ReadHeaderTimeout: time.Minute}
	s.wg.Go(func() { _ = server.Serve(s.pipes) })
	t.Cleanup(func() {
		_ = server.Close()
		s.pipes.Close()
		s.wg.Wait()
	})
	return s
}

// client reaches the site as TheHive's default user.
// late lets the first call to a route take effect 21 seconds after it was sent, while its caller waits for ten; it counts the calls.
func (s *site) late(route string) *atomic.Int32 {
	var calls atomic.Int32
	s.hive.On(hivetest.BeforeEffect, route, func(hivetest.Call) hivetest.Action {
		if calls.Add(1) == 1 {
			wait(context.Background(), 21*time.Second)
		}
		return hivetest.Action{}
	})
	return &calls
}

func (s *site) client(t *testing.T) *hive.Client { return s.clientAs(t, hivetest.DefaultAPIKey) }

func (s *site) clientAs(t *testing.T, key string) *hive.Client {
	t.Helper()
	transport := &http.Transport{DialContext: s.pipes.dial, MaxIdleConnsPerHost: 8}
	c, err := hive.New(hive.Options{
		URL: "http://thehive.test", APIKey: key, Organisation: hivetest.DefaultOrganisation,
		Transport: transport, Timeout: 10 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(transport.CloseIdleConnections)
	return c
}

// worker is one replica's applier.
func (s *site) worker(t *testing.T, change ...func(*apply.Options)) *apply.Applier {
	t.Helper()
	c := s.client(t)
	o := apply.Options{Hive: func(string) apply.Hive { return c }, Ledger: s.ledger}
	for _, f := range change {
		f(&o)
	}
	e, err := apply.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// pipes is a listener whose connections are pipes.
type pipes struct {
	conns chan net.Conn
	once  sync.Once
	done  chan struct{}
}

func newPipes() *pipes { return &pipes{conns: make(chan net.Conn), done: make(chan struct{})} }

func (p *pipes) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	near, far := net.Pipe()
	select {
	case p.conns <- far:
		return near, nil
	case <-p.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (p *pipes) Accept() (net.Conn, error) {
	select {
	case c := <-p.conns:
		return c, nil
	case <-p.done:
		return nil, net.ErrClosed
	}
}

func (p *pipes) Close() error {
	p.once.Do(func() { close(p.done) })
	return nil
}

func (p *pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipes", Net: "unix"} }

// day is when the tests' detections happen.
func day(hour int) time.Time { return time.Date(2026, 3, 14, hour, 0, 0, 0, time.UTC) }

// seen makes a detection of a host.
func seen(host, id string, at time.Time) detection.Detection {
	return detection.Detection{
		Format: "native", ID: id, Time: at, Severity: canon.High, Title: "Suspicious logon", Host: host,
		Rule: detection.Rule{ID: "r1", Name: "Logon"},
		Observables: []detection.Observable{
			{DataType: "ip", Data: "198.51.100.7"}, {DataType: "hostname", Data: host},
		},
		Techniques: []detection.Reference{{Text: "T1059.001", Path: "techniques"}, {Text: "T1110", Path: "techniques"}},
	}
}

// plan makes the plans of detections, one message each.
func plan(t *testing.T, first uint64, all ...detection.Detection) []enrich.Plan {
	t.Helper()
	p := enrich.NewPlanner(enrich.PlannerOptions{
		Organisation: hivetest.DefaultOrganisation, TLP: -1, PAP: -1, Objects: []enrich.ObjectRule{{Subject: ">", Bucket: "evidence"}},
	})
	var plans []enrich.Plan
	for i, d := range all {
		one, err := p.Plan(d, enrich.Origin{Stream: "DETECTIONS", Sequence: first + uint64(i), Subject: "detections.test", Time: d.Time})
		if err != nil {
			t.Fatal(err)
		}
		plans = append(plans, one)
	}
	return plans
}

// mustApply expects every plan to be done.
func mustApply(t *testing.T, e *apply.Applier, plans []enrich.Plan) {
	t.Helper()
	for i, err := range e.Apply(t.Context(), enrich.BatchOf(plans...)) {
		if err != nil {
			t.Errorf("plan %d: %v", i, err)
		}
	}
}
