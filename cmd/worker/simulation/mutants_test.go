package simulation

import (
	"flag"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"forager/cmd/worker/workertest"
)

var (
	mutant   = flag.String("simulation.mutants", "", "let the simulation find these injected bugs, by a regular expression of their names")
	searches = flag.Duration("simulation.search", time.Minute, "how much of the machine's time each of them may take")
)

// mutants are bugs that somebody could have written: a text that is once in the code, and another.
var mutants = []mutation{
	{"acknowledges before the effect", "	w.tracing.begin(ctx, m)\n", "	w.tracing.begin(ctx, m)\n	_ = m.msg.Ack()\n"},
	{"acknowledges what failed", "	case enrich.Transient:\n		return p.transient(a)\n", "	case enrich.Transient:\n		return Verdict{Action: ActionAck}\n"},
	{"acknowledges what was interrupted", "return Verdict{Action: ActionNak, Delay: max(interrupted(a), a.RetryAfter)}", "return Verdict{Action: ActionAck}"},
	{"takes what failed for done", "return c == enrich.None || c == enrich.Dropped", "return c == enrich.None || c == enrich.Transient || c == enrich.Dropped"},
	{"acknowledges what cannot be read", "case enrich.Malformed, enrich.Rejected, enrich.Quarantined:\n		return Verdict{Action: ActionDeadLetter}", "case enrich.Malformed, enrich.Rejected, enrich.Quarantined:\n		return Verdict{Action: ActionAck}"},
	{"terminates without a dead letter", "if err := w.dead.Store(bounded, dead); err != nil {", "if err := bounded.Err(); err != nil {"},
	{"forgets what joins an apply", "		return plansOf(joining)\n", "		return plansOf(joining)[:0]\n"},
	{"believes its claim too long", "return s.own.lease*2/3 - time.Since(s.confirmed)", "return s.own.lease*20 - time.Since(s.confirmed)"},
	{"takes claims that are held", "return c.dead(ctx, id)", "return time.Now(), true, nil"},
	{"waits for nothing that a dead holder sent", "o.owed, o.due, o.over = e.kinds(), over", "o.owed, o.due, o.over = nil, over"},
	{"releases clean what is unclear", "		left = cl.entry.kinds()\n", "		left = nil\n"},
	{"writes down no intent", "	if slices.Equal(all, union(had, nil)) {", "	if len(all) > 0 {"},
	{"writes entries at any revision", "revision, err = kv.Update(ctx, encodeKey(key), value, expected)", "revision, err = kv.Put(ctx, encodeKey(key), value)"},
	{"opens a case again without a look", "found, lookErr := r.afterLost(held, n, lost, err)", "found, lookErr := hive.Case{}, error(nil)"},
	{"posts procedures again without a look", "	w.a.happened(EventAmbiguous, w.c.Number, \"add procedures\")\n", "	return nil\n"},
	{"posts comments again without a look", "	w.a.happened(EventAmbiguous, w.c.Number, \"add comment\")\n", "	return nil\n"},
	{"loses removals", "	away := mark(gone)\n", "	away := mark(gone[:0])\n"},
	{"reads no removals", "range body.Removed {", "range body.Removed[:0] {"},
	{"adds to a case after its end", "case r.absent, r.End != 0 && at > r.End:", "case r.absent:"},
	{"raises no severity", "if to > present && to > wrote {", "if to > present && to > wrote && name != changeSeverity {"},
	{"forgets that a case was deleted", "			m.Gone = now\n			return true\n", "			return now == 0\n"},
	{"takes what was merged for gone", "		if slices.ContainsFunc(sources, func(x caseRef) bool { return x.ID == v.ID }) {\n			return true\n", "		if slices.ContainsFunc(sources, func(x caseRef) bool { return x.ID == v.ID }) {\n			return false\n"},
	{"takes failed observables for stored", "result, err := w.do(hashesOf(batch), func() (hive.ObservableResult, error) { return w.request(held, batch) })\n	if err != nil {\n		calls, done := calling(held, w.claim)\n		defer done()\n		return batch, cmp.Or(w.stillThere(calls, err), err)", "result, err := w.do(hashesOf(batch), func() (hive.ObservableResult, error) { return w.request(held, batch) })\n	if err != nil {\n		calls, done := calling(held, w.claim)\n		defer done()\n		return nil, w.stillThere(calls, err)"},
	{"forgets the cases of a key", "		r.body.Cases = append(r.body.Cases, fresh)\n		r.mayComeOf(", "		r.mayComeOf("},
	{"sends raises again without a doubt", "	w.unclear = w.unclear || levels(sent) != levels(there)\n", "	_ = levels(sent) + levels(there)\n"},
}

// mutation is one.
type mutation struct{ name, from, to string }

// enough is how many must fit; who changes code that one was thought for mends it, or leaves it to the next.
const enough = 20

// TestMutantsFit: a bug can be injected as long as the code is what it was thought for.
func TestMutantsFit(t *testing.T) {
	t.Parallel()
	code, fit := sources(t), 0
	for _, m := range mutants {
		if in := m.in(code); len(in) == 1 {
			fit++
		} else {
			t.Logf("%s: its text is in %v", m.name, in)
		}
	}
	if fit < enough {
		t.Errorf("%d of %d mutants fit", fit, len(mutants))
	}
}

// in names the files that have the text, each as often as it has it.
func (m mutation) in(code map[string]string) (files []string) {
	for file, text := range code {
		for range strings.Count(text, m.from) {
			files = append(files, file)
		}
	}
	return files
}

// sources is the worker's own code, by file.
func sources(t *testing.T) map[string]string {
	t.Helper()
	all := map[string]string{}
	for _, room := range []string{"pipeline", "enrich", "hive"} {
		workertest.Must(t, filepath.WalkDir(filepath.Join(workertest.Root(t), room), func(name string, _ fs.DirEntry, err error) error {
			if err != nil || !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
				return err
			}
			text, err := os.ReadFile(name)
			all[name] = string(text)
			return err
		}))
	}
	return all
}

// TestMutantsAreFound injects one bug after the other, and lets the simulation look for it.
func TestMutantsAreFound(t *testing.T) {
	if *mutant == "" {
		t.Skip("with -simulation.mutants")
	}
	code := sources(t)
	for _, m := range mutants {
		if !regexp.MustCompile(*mutant).MatchString(m.name) {
			continue
		}
		t.Run(m.name, func(t *testing.T) {
			in := m.in(code)
			if len(in) != 1 {
				t.Fatalf("its text is in %v", in)
			}
			look(t, built(t, map[string]string{in[0]: strings.Replace(code[in[0]], m.from, m.to, 1)}))
		})
	}
}

// look lets the simulation look for a bug that a binary has.
func look(t *testing.T, binary string) {
	t.Helper()
	var simulated, worked time.Duration
	var found *run
	begun, seed := time.Now(), *from-1
	liveAll(t, binary, func() (schedule, bool) {
		seed++
		return newSchedule(seed, 1), found == nil && time.Since(begun) < *searches
	}, func(r run) {
		simulated, worked = simulated+r.Simulated, worked+r.Worked
		if found == nil && len(r.Findings) > 0 {
			found = &r
		}
	})
	if found == nil {
		t.Errorf("not found in %s, which took %s, %s of a processor", simulated, time.Since(begun).Round(time.Second), worked.Round(time.Second))
		return
	}
	t.Logf("found by seed %d, in %s, %s of a processor: %s", found.Seed, time.Since(begun).Round(time.Second), worked.Round(time.Second), strings.SplitN(found.Findings[0], "\n", 2)[0])
}

// built is the tests' binary with other texts in some files.
func built(t *testing.T, texts map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	replaced := map[string]string{}
	for _, name := range slices.Sorted(maps.Keys(texts)) {
		to := filepath.Join(dir, fmt.Sprintf("%d.go", len(replaced)))
		workertest.Must(t, os.WriteFile(to, []byte(texts[name]), 0o600))
		replaced[name] = to
	}
	overlay := filepath.Join(dir, "overlay.json")
	workertest.Must(t, os.WriteFile(overlay, toJSON(map[string]any{"Replace": replaced}), 0o600))
	binary := filepath.Join(dir, "simulation.test")
	c := exec.CommandContext(t.Context(), "go", "test", "-c", "-vet=off", "-overlay", overlay, "-o", binary, "forager/cmd/worker/simulation")
	c.Dir = workertest.Root(t)
	if said, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, said)
	}
	return binary
}
