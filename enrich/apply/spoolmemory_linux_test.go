// The race detector multiplies memory, and what is measured here is memory.

//go:build !race

package apply_test

import (
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"testing"
)

// TestAHundredMessagesOfOneObjectStayUnderTheContainersLimit: the same in a process of its own, whose peak the
// kernel counts; the simulated TheHive is in it.
func TestAHundredMessagesOfOneObjectStayUnderTheContainersLimit(t *testing.T) {
	child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestAHundredMessagesOfOneObjectAreOneCopy$", "-test.timeout=2m")
	child.Env = append(os.Environ(), measured+"=1", "GOMEMLIMIT=240MiB")
	out, err := child.CombinedOutput()
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(out)
	if err != nil || found == nil {
		t.Fatalf("%v\n%s", err, out)
	}
	peak, err := strconv.Atoi(string(found[1]))
	if err != nil || peak > 300<<10 {
		t.Errorf("%d MiB, %v", peak>>10, err)
	}
	t.Logf("%d MiB", peak>>10)
}
