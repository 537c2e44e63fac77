package main

import (
	"context"
	"fmt"
	"time"

	"forager/hive/hivetest"
	"forager/mitre"
)

// simulateCmd is "worker simulate".
type simulateCmd struct {
	Addr      string        `default:"127.0.0.1:9000" placeholder:"HOST:PORT" help:"Address to listen on (default ${default})."`
	Latency   time.Duration `placeholder:"DURATION" help:"Time that every call takes."`
	Fail      float64       `placeholder:"P" help:"Probability of a 503 before any effect."`
	Ambiguous float64       `placeholder:"P" help:"Probability that the answer to a write is lost after its effect."`
	Throttle  float64       `placeholder:"N" help:"Calls a second, beyond which a call gets 429; 0 is no limit."`
	Lag       time.Duration `placeholder:"DURATION" help:"Time until a search shows what was written."`
}

// Validate is called by kong.
func (c *simulateCmd) Validate() error {
	for name, p := range map[string]float64{"fail": c.Fail, "ambiguous": c.Ambiguous} {
		if !(p >= 0 && p <= 1) {
			return fmt.Errorf("--%s: %v is no probability: expected 0 to 1", name, p)
		}
	}
	if !(c.Throttle >= 0) || c.Latency < 0 || c.Lag < 0 {
		return fmt.Errorf("--throttle, --latency and --lag must not be negative")
	}
	return nil
}

// Run serves until it is told to stop.
func (c *simulateCmd) Run(ctx context.Context, sh *shell) error {
	h := hivetest.New(hivetest.Options{Patterns: patternsOf(mitre.Embedded())})
	h.Set(hivetest.Misbehaviour{
		Latency: c.Latency, Refuse: c.Fail, Ambiguous: c.Ambiguous, Throttle: c.Throttle, Lag: c.Lag,
	})
	server, err := hivetest.Listen(c.Addr, h)
	if err != nil {
		return fmt.Errorf("simulate: %w", err)
	}
	sh.say("TheHive is simulated at %s; user %s, password %s, API key %s", server.URL(),
		hivetest.DefaultUser, hivetest.DefaultPassword, hivetest.DefaultAPIKey)
	sh.say("GET %s/_sim/stats counts, POST %s/_sim/reset forgets, POST %s/_sim/misbehave changes its manners", server.URL(), server.URL(), server.URL())
	<-ctx.Done()
	return server.Close()
}
