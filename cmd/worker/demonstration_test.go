package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"forager/cmd/worker/workertest"
)

// TestRealEventsEndInTheirCasesOnce publishes all the shared samples to a TheHive that misbehaves.
func TestRealEventsEndInTheirCasesOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(workertest.Root(t), "..", "shared", "data", "samples")
	if _, err := os.Stat(dir); err != nil {
		t.Skip("the shared samples are not next to the repository")
	}
	for _, args := range [][]string{{"demo", "--once", "--json", dir}, {"demo", "--once", "--json", "--calm", dir}} {
		var out, complaints bytes.Buffer
		code := run(t.Context(), args, nil, strings.NewReader(""), &out, &complaints)
		var f struct{ Published, Acked, Dropped, Dead, Cases, Duplicates, Lost int }
		if err := json.Unmarshal(out.Bytes(), &f); err != nil {
			t.Fatalf("%v: %s", err, complaints.String())
		}
		t.Logf("%+v", f)
		if (code == exitDone) != (f.Dead == 0) || f.Lost != 0 || f.Duplicates != 0 || f.Published != f.Acked+f.Dropped+f.Dead || f.Cases == 0 {
			t.Errorf("exit %d, %+v, %s", code, f, complaints.String())
		}
	}
}
