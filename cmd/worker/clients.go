package main

import (
	"fmt"
	"sync"

	"forager/config"
	"forager/enrich"
	"forager/hive"
)

// clients are one client for each organisation, over one transport: together they are held to one
// breaker and to the calls in flight that the configuration allows.
type clients struct {
	config    *config.Config
	transport *guardedTransport
	observe   func(hive.Call) // nil: nobody
	own       *hive.Client    // of the worker's own organisation

	mu     sync.Mutex
	others map[string]*hive.Client
}

// newClients makes the client of the worker's own organisation. observe is told of every attempt of a call; it may be nil.
func newClients(c *config.Config, observe func(hive.Call)) (*clients, error) {
	o := hiveOptions(c)
	transport, err := hive.NewTransport(o)
	if err != nil {
		return nil, err
	}
	all := &clients{config: c, transport: newGuardedTransport(transport, c.Hive.Concurrency), observe: observe, others: map[string]*hive.Client{}}
	all.own, err = all.make(c.Hive.Organisation)
	return all, err
}

func (c *clients) make(organisation string) (*hive.Client, error) {
	o := hiveOptions(c.config)
	o.Organisation, o.Transport, o.Observe = organisation, c.transport, c.observe
	return hive.New(o)
}

// serve makes clients for what rules name, before the rules are in force.
func (c *clients) serve(rules *config.Config) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for i, r := range rules.Routes {
		if r.Organisation == "" || c.others[r.Organisation] != nil {
			continue
		}
		client, err := c.make(r.Organisation)
		if err != nil {
			return rules.Wrong(config.Mistake{Key: fmt.Sprintf("routes[%d].organisation", i), Err: err})
		}
		c.others[r.Organisation] = client
	}
	return nil
}

// single tells whether all cases are of one organisation.
func (c *clients) single() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.others) == 0
}

// of gives the client of an organisation that rules name, or have named: clients are kept, since
// plans of rules that were replaced may still be under way.
func (c *clients) of(organisation string) enrich.Hive {
	if organisation == c.config.Hive.Organisation {
		return c.own
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.others[organisation]
}

// newClient makes the client of the worker's own organisation alone.
func newClient(c *config.Config) (*hive.Client, error) {
	all, err := newClients(c, nil)
	if err != nil {
		return nil, err
	}
	return all.own, nil
}
