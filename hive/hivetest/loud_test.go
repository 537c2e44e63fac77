package hivetest

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/sourcegraph/conc"
)

// TestPanicBesideTheCallsEndsTheProcess: in a process of its own, though nobody waits.
func TestPanicBesideTheCallsEndsTheProcess(t *testing.T) {
	const child = "FORAGER_TEST_FALLS"
	if os.Getenv(child) != "" {
		var beside conc.WaitGroup
		beside.Go(loud(func() { panic("over") }))
		select {}
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	c := exec.CommandContext(ctx, os.Args[0], "-test.run", "^"+t.Name()+"$")
	c.Env = append(os.Environ(), child+"=1")
	out, err := c.CombinedOutput()
	if _, exited := errors.AsType[*exec.ExitError](err); !exited || ctx.Err() != nil || !strings.Contains(string(out), "panic: over") {
		t.Errorf("%v: %s", err, out)
	}
}
