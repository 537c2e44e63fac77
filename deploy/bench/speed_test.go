//go:build bench && linux

package bench

import (
	"fmt"
	"maps"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// What the table takes as given.
const (
	latency  = 20 * time.Millisecond
	inFlight = 32
)

// bench is one run.
type bench struct {
	table
	programs
	usual map[string]float64 // rates that other rows are compared with
}

// TestSpeed measures every row and prints the table.
func TestSpeed(t *testing.T) {
	began, load := time.Now(), loadAverage(t)
	b := &bench{programs: build(t), usual: map[string]float64{}}
	t.Run("4000 keys", b.manyKeys)
	t.Run("4000 keys by alert", b.alerts)
	t.Run("200 keys", b.someKeys)
	t.Run("5 keys", func(t *testing.T) { b.hotKeys(t, 5, 3500, 0.08) })
	t.Run("1 key", func(t *testing.T) { b.hotKeys(t, 1, 4000, 0.03) })
	t.Run("replicas, 4000 keys", b.replicas)
	t.Run("replicas, 5 keys", func(t *testing.T) { b.crowd(t, 5) })
	t.Run("replicas, 1 key", func(t *testing.T) { b.crowd(t, 1) })
	t.Run("refused", b.refused)
	t.Run("zero latency", b.zeroLatency)
	t.Run("backlog", b.backlog)
	t.Run("pending", b.pending)
	t.Run("crash", b.crash)
	t.Run("kills", b.kills)
	t.Run("stop", b.stop)
	t.Run("idle", b.idle)
	t.Run("intake", b.intake)
	t.Run("page", b.viewing)
	if err := b.print(os.Stdout); err != nil {
		t.Error(err)
	}
	fmt.Fprintf(os.Stdout, "\n%d calls in flight, %s a call, whole run %s; load average of others before it %s on %d cores\n",
		inFlight, latency, time.Since(began).Round(time.Second), load, runtime.NumCPU())
}

// loadAverage tells how busy the machine was: on one that others use, compare ratios alone.
func loadAverage(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("/proc/loadavg")
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(text), " ")
	return first
}

// manyKeys: every detection opens a case.
func (b *bench) manyKeys(t *testing.T) {
	took := lowLoad(t, b.programs)
	o := try(t, b.programs, trial{keys: 4000, messages: 4000, replicas: 1, calls: inFlight, manners: manners{Latency: latency}, probe: true})
	b.usual["4000 keys"] = o.rate()
	nominal, limit := inFlight/latency.Seconds()/o.each(), inFlight/took.Seconds()/o.each()
	b.atLeast(line{
		row: "4000 keys", measured: "detections, each opens a case",
		base:   fmt.Sprintf("%.0f/s at %.2f ms a call (%.0f/s nominal)", limit, took.Seconds()*1000, nominal),
		result: o.said(), ratio: fmt.Sprintf("%.2f (%.2f nominal)", o.rate()/limit, o.rate()/nominal),
		must: "≥ 0.90", cores: o.cores(),
	}, o.rate()/limit, 0.90)
	const find, create, perType, procedures, nobody = 1, 1, 3, 1, 1
	b.add(line{
		measured: "… of the limit by the latency under load", result: o.said(),
		base:  fmt.Sprintf("%.0f/s at %.2f ms a call", nominal*latency.Seconds()/o.probed.Seconds(), o.probed.Seconds()*1000),
		ratio: fmt.Sprintf("%.2f", o.rate()/nominal*o.probed.Seconds()/latency.Seconds()),
	}, true)
	b.atMost(line{
		row: "", measured: "calls per detection", base: "find, create, 3 × observables, procedures, assigned to nobody",
		result: fmt.Sprintf("%.3f", o.each()), ratio: "", must: "≤ 7",
	}, o.each(), find+create+perType+procedures+nobody)
	logCalls(t, o)
}

// someKeys: sixty detections of each case.
func (b *bench) someKeys(t *testing.T) {
	o := try(t, b.programs, trial{keys: 200, messages: 12_000, replicas: 1, calls: inFlight, manners: manners{Latency: latency}})
	b.usual["200 keys"] = o.rate()
	b.rateAndCalls("200 keys", o, 1200, 1.2)
	logCalls(t, o)
}

// hotKeys: a storm.
func (b *bench) hotKeys(t *testing.T, keys int, rate, calls float64) {
	o := try(t, b.programs, trial{keys: keys, messages: stormOf, replicas: 1, calls: inFlight, manners: manners{Latency: latency}})
	b.usual[storm(keys)] = o.rate()
	b.rateAndCalls(storm(keys), o, rate, calls)
	logCalls(t, o)
}

// stormOf is how many detections a storm has.
const stormOf = 30_000

func storm(keys int) string {
	if keys == 1 {
		return "1 key"
	}
	return fmt.Sprintf("%d keys", keys)
}

func (b *bench) rateAndCalls(row string, o outcome, rate, calls float64) {
	b.atLeast(line{
		row: row, measured: "detections", result: o.said(), base: perSecond(rate),
		ratio: fmt.Sprintf("%.2f", o.rate()/rate), must: fmt.Sprintf("≥ %s", perSecond(rate)), cores: o.cores(),
	}, o.rate(), rate)
	b.atMost(line{
		measured: "calls per detection", result: fmt.Sprintf("%.4f", o.each()), base: fmt.Sprintf("%.2f", calls),
		ratio: fmt.Sprintf("%.2f", o.each()/calls), must: fmt.Sprintf("≤ %.2f", calls),
	}, o.each(), calls)
}

// logCalls tells which calls a trial made.
func logCalls(t *testing.T, o outcome) {
	t.Helper()
	for _, route := range slices.Sorted(maps.Keys(o.calls)) {
		t.Logf("%7d × %s", o.calls[route], route)
	}
}

// replicas: few calls each, so that TheHive's time is the limit, and more workers mean more work.
func (b *bench) replicas(t *testing.T) {
	const calls, each = 8, 700
	rates := map[int]float64{}
	for _, n := range []int{1, 2, 4} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			o := try(t, b.programs, trial{keys: 4000, messages: n * each, replicas: n, calls: calls, manners: manners{Latency: latency}})
			rates[n] = o.rate()
			b.compare(line{row: fmt.Sprintf("%d × 8 calls", n), measured: "4000 keys, one detection each"}, o, rates[1], map[int]float64{2: 1.9, 4: 3.6}[n])
		})
	}
}

// compare adds a row that is held against another rate; a base of 0 was not measured.
func (b *bench) compare(l line, o outcome, base, must float64) {
	l.result, l.cores = o.said(), o.cores()
	l.base, l.ratio, l.must = perSecond(base), fmt.Sprintf("%.2f", o.rate()/base), fmt.Sprintf("≥ %.2f × base", must)
	if must == 0 || base == 0 {
		l.base, l.ratio, l.must = "", "", ""
	}
	b.atLeast(l, o.rate(), must*base)
}

// crowd: several replicas meet at few keys.
func (b *bench) crowd(t *testing.T, keys int) {
	for _, n := range []int{2, 4} {
		t.Run(strconv.Itoa(n), func(t *testing.T) {
			o := try(t, b.programs, trial{keys: keys, messages: stormOf, replicas: n, calls: inFlight, manners: manners{Latency: latency}})
			b.compare(line{row: fmt.Sprintf("%d replicas", n), measured: storm(keys)}, o, b.usual[storm(keys)], 0.8)
		})
	}
}

// refused: TheHive refuses nearly a third of all writes.
func (b *bench) refused(t *testing.T) {
	bad := manners{Latency: latency, RefuseWrites: 0.3}
	t.Run("200 keys", func(t *testing.T) {
		o := try(t, b.programs, trial{keys: 200, messages: 12_000, replicas: 1, calls: inFlight, manners: bad})
		b.compare(line{row: "30 % of writes 503", measured: "200 keys"}, o, b.usual["200 keys"], 0.5)
	})
	t.Run("4000 keys", func(t *testing.T) {
		o := try(t, b.programs, trial{keys: 4000, messages: 2000, replicas: 1, calls: inFlight, manners: bad})
		b.compare(line{row: "30 % of writes 503", measured: "4000 keys"}, o, b.usual["4000 keys"], 0.5)
	})
}

// zeroLatency: what the worker itself costs, beside a consumer that does nothing but acknowledge.
func (b *bench) zeroLatency(t *testing.T) {
	var rates []float64
	for range 3 {
		rates = append(rates, bare(t, b.programs))
	}
	slices.Sort(rates)
	o := try(t, b.programs, trial{keys: 50, messages: 40_000, replicas: 1, calls: inFlight})
	b.compare(line{row: "zero latency", measured: "50 keys; base: bare consume and confirmed ack"}, o, rates[1], 0.15)
	logCalls(t, o)
}
