package pipeline

import (
	"fmt"
	"sync"
	"time"

	"github.com/sourcegraph/conc"
	"github.com/sourcegraph/conc/panics"
)

// Tasks runs goroutines side by side and waits for them. A panic in one of them is an error at once,
// and not when somebody waits, which in a service is at its end. Its zero value ends the process
// with the panic. It must not be copied.
type Tasks struct {
	// Failed is told of each panic, as an error with its stack; it is called beside the others. Where it
	// is nil, the panic is raised again where nobody recovers it.
	Failed func(err error)

	running conc.WaitGroup
	mu      sync.Mutex
	first   error
}

// Go runs something; its name is in the error of a panic.
func (t *Tasks) Go(name string, f func()) {
	t.running.Go(func() {
		var caught panics.Catcher
		caught.Try(f)
		if r := caught.Recovered(); r != nil {
			t.fell(fmt.Errorf("%s: %w", name, r.AsError()))
		}
	})
}

func (t *Tasks) fell(err error) {
	if t.Failed == nil {
		time.AfterFunc(0, func() { panic(err) }) // on a goroutine of its own: nothing recovers it
		return
	}
	t.mu.Lock()
	if t.first == nil {
		t.first = err
	}
	t.mu.Unlock()
	t.Failed(err)
}

// Wait waits for all and returns the first panic as an error.
func (t *Tasks) Wait() error {
	t.running.Wait()
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.first
}
