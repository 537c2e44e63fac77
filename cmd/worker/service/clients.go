package service

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"

	"go.uber.org/zap"

	"forager/config"
	"forager/enrich/analyze"
	"forager/enrich/apply"
	"forager/hive"
	"forager/hive/connector"
	"forager/hive/throttle"
)

// clients are one client for each organisation, over one transport and one throttle: together they are
// held to one breaker and to the calls in flight that the configuration allows.
type clients struct {
	config    *config.Config
	transport *carrier
	throttle  *throttle.Throttle
	secret    *rotating
	observe   func(hive.Call) // nil: nobody
	own       *hive.Client    // of the worker's own organisation

	mu     sync.Mutex
	others map[string]*hive.Client
	named  []string // organisations of the rules in force, but for the worker's own
}

// carrier is the transport of all clients, which may be wrapped before the first call.
type carrier struct{ next http.RoundTripper }

// RoundTrip hands the request on as it came.
func (c *carrier) RoundTrip(r *http.Request) (*http.Response, error) { return c.next.RoundTrip(r) }

// CloseIdleConnections closes what the transport keeps open.
func (c *carrier) CloseIdleConnections() {
	if t, ok := c.next.(interface{ CloseIdleConnections() }); ok {
		t.CloseIdleConnections()
	}
}

// newClients makes the client of the worker's own organisation. observe is told of every attempt of a call; it may be nil.
// The log tells of secrets that were exchanged.
func newClients(c *config.Config, observe func(hive.Call), log *zap.Logger) (*clients, error) {
	o := HiveOptions(c)
	transport, err := hive.NewTransport(o)
	if err != nil {
		return nil, err
	}
	all := &clients{
		config: c, transport: &carrier{transport}, throttle: throttle.New(c.Hive.Concurrency), secret: hiveSecret(c, log), observe: observe,
		others: map[string]*hive.Client{},
	}
	all.own, err = all.make(c.Hive.Organisation)
	return all, err
}

// dials makes the connections of all clients by dial. It is called before the first call.
func (c *clients) dials(dial func(context.Context, string, string) (net.Conn, error)) error {
	o := HiveOptions(c.config)
	o.Dial = dial
	transport, err := hive.NewTransport(o)
	if err != nil {
		return err
	}
	c.transport.next = transport
	return nil
}

func (c *clients) make(organisation string) (*hive.Client, error) {
	o := c.secret.sends(HiveOptions(c.config))
	o.Organisation, o.Transport, o.Throttle, o.Observe = organisation, c.transport, c.throttle, c.observe
	return hive.New(o)
}

// serve makes clients for what rules name, before the rules are in force.
func (c *clients) serve(rules *config.Config) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	var named []string
	for i, r := range rules.Routes {
		if r.Organisation == "" || r.Organisation == c.config.Hive.Organisation || slices.Contains(named, r.Organisation) {
			continue
		}
		named = append(named, r.Organisation)
		if c.others[r.Organisation] != nil {
			continue
		}
		client, err := c.make(r.Organisation)
		if err != nil {
			return rules.Wrong(config.Mistake{Key: fmt.Sprintf("routes[%d].organisation", i), Err: err})
		}
		c.others[r.Organisation] = client
	}
	c.named = named
	return nil
}

// served are the organisations that cases may belong to now; the first is the worker's own.
func (c *clients) served() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string{c.config.Hive.Organisation}, c.named...)
}

// of gives the client of an organisation that rules name, or have named: clients are kept, since
// plans of rules that were replaced may still be under way.
func (c *clients) of(organisation string) apply.Hive { return c.client(organisation) }

// cortex reaches Cortex through TheHive, in an organisation as in of.
func (c *clients) cortex(organisation string) analyze.Cortex {
	return connector.New(c.client(organisation))
}

func (c *clients) client(organisation string) *hive.Client {
	if organisation == c.config.Hive.Organisation {
		return c.own
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.others[organisation]
}

// CurrentUser asks whose account the worker has, in an organisation that lets it in.
func (c *clients) CurrentUser(ctx context.Context) (hive.User, error) {
	return askAny(c, func(one *hive.Client) (hive.User, error) { return one.CurrentUser(ctx) })
}

// Patterns lists the ATT&CK patterns, which belong to no organisation, in one that lets the worker in.
func (c *clients) Patterns(ctx context.Context) ([]hive.Pattern, error) {
	return askAny(c, func(one *hive.Client) ([]hive.Pattern, error) { return one.Patterns(ctx) })
}

// askAny asks in the worker's own organisation and, where that refuses it, in the others, one
// after the other. When all refuse, the own one's answer counts.
func askAny[T any](c *clients, ask func(*hive.Client) (T, error)) (T, error) {
	own, refusal := ask(c.own)
	if !refuses(refusal) {
		return own, refusal
	}
	for _, client := range c.elsewhere() {
		if out, err := ask(client); !refuses(err) {
			return out, err
		}
	}
	return own, refusal
}

// elsewhere gives the clients of the organisations that are served beside the worker's own.
func (c *clients) elsewhere() []*hive.Client {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*hive.Client, 0, len(c.named))
	for _, name := range c.named {
		all = append(all, c.others[name])
	}
	return all
}

// refuses tells whether TheHive refuses the worker itself.
func refuses(err error) bool {
	e, ok := errors.AsType[*hive.Error](err)
	return ok && (e.Verdict() == hive.Denied || e.Verdict() == hive.Unauthenticated)
}

// NewClient makes the client of the worker's own organisation alone.
func NewClient(c *config.Config) (*hive.Client, error) {
	all, err := newClients(c, nil, zap.NewNop())
	if err != nil {
		return nil, err
	}
	return all.own, nil
}
