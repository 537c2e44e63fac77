package view

import (
	"context"
	"sync"
	"time"

	"forager/pipeline"
)

// Patience is how long a viewer waits for what is not known yet.
const Patience = 300 * time.Millisecond

// within bounds one look at a server.
const within = 20 * time.Second

// cached is something that a server knows, as it was asked last.
type cached[T any] struct {
	every time.Duration
	ask   func(ctx context.Context) T

	mu    sync.Mutex
	value T
	at    time.Time     // zero: never
	asks  chan struct{} // closed when the question under way is answered; nil: there is none
}

// get is the last answer; an old one is asked for anew beside. Of the first it waits a little.
func (c *cached[T]) get(ctx context.Context, beside *pipeline.Tasks) (value T, at time.Time) {
	c.mu.Lock()
	if c.asks == nil && time.Since(c.at) >= c.every {
		asks := make(chan struct{})
		c.asks = asks
		asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), within)
		beside.Go("ask for the page", func() {
			defer cancel()
			defer close(asks)
			c.put(c.ask(asking))
		})
	}
	asks, known := c.asks, !c.at.IsZero()
	c.mu.Unlock()
	if asks != nil && !known {
		late := time.NewTimer(Patience)
		defer late.Stop()
		select {
		case <-asks:
		case <-late.C:
		case <-ctx.Done():
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.value, c.at
}

func (c *cached[T]) put(value T) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.value, c.at, c.asks = value, time.Now(), nil
}
