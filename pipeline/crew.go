package pipeline

import (
	"fmt"
	"sync"
	"time"

	"github.com/sourcegraph/conc"
	"github.com/sourcegraph/conc/panics"
)

// Crew runs goroutines side by side and waits for them. A panic in one of them is an error at once,
// and not when somebody waits, which in a service is at its end. Its zero value ends the process
// with the panic. It must not be copied.
type Crew struct {
	// Failed is told of each panic, as an error with its stack; it is called beside the others. Where it
	// is nil, the panic is raised again where nobody recovers it.
	Failed func(err error)

	running conc.WaitGroup
	mu      sync.Mutex
	first   error
}

// Go runs something; its name is in the error of a panic.
func (c *Crew) Go(name string, f func()) {
	c.running.Go(func() {
		var caught panics.Catcher
		caught.Try(f)
		if r := caught.Recovered(); r != nil {
			c.fell(fmt.Errorf("%s: %w", name, r.AsError()))
		}
	})
}

func (c *Crew) fell(err error) {
	if c.Failed == nil {
		time.AfterFunc(0, func() { panic(err) }) // on a goroutine of its own: nothing recovers it
		return
	}
	c.mu.Lock()
	if c.first == nil {
		c.first = err
	}
	c.mu.Unlock()
	c.Failed(err)
}

// Wait waits for all and returns the first panic as an error.
func (c *Crew) Wait() error {
	c.running.Wait()
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.first
}
