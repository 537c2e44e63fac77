package main

import (
	"context"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/sourcegraph/conc"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"forager/cmd/worker/rulefiles"
	"forager/cmd/worker/service"
	"forager/cmd/worker/workertest"
	"forager/config"
	"forager/enrich/apply"
	"forager/hive/hivetest"
	"forager/pipeline"
)

// TestReplicasShareTheLimitOfNewCases: of a flood of hosts, three cases are opened by whichever of
// two workers, one more takes the rest, and that is alerted.
func TestReplicasShareTheLimitOfNewCases(t *testing.T) {
	t.Parallel()
	const hosts, most = 12, 3
	b := newBackyard(t)
	b.env = append(b.env, fmt.Sprintf("FORAGER_ROUTES=[{name: flood, maxNewCases: %d}]", most), "FORAGER_LOG_LEVEL=warn")
	settled := &ends{}
	core, logs := observer.New(zap.WarnLevel)
	var replicas []*service.Service
	for range 2 {
		replicas = append(replicas, b.replica(zap.New(core), settled))
	}
	at := weekAgo()
	for i := range hosts {
		b.publish(fmt.Sprintf("d-%d", i), fmt.Sprintf("host%d", i), at.Add(time.Duration(i)*time.Minute), fmt.Sprintf("203.0.113.%d", i), "T1059")
	}
	workertest.Eventually(b.t, "all are settled", func() bool { return settled.count() == hosts })

	cases := b.cases()
	i := slices.IndexFunc(cases, func(c hivetest.Case) bool { return slices.Contains(c.Tags, "forager:overflow") })
	if len(cases) != most+1 || i < 0 {
		t.Fatalf("%d cases, overflow is number %d: %+v", len(cases), i, cases)
	}
	if over := cases[i]; over.Title != "Too many new cases: route flood" || len(over.Observables) != hosts-most || over.Severity != 2 {
		t.Errorf("overflow case %q with %d observables", over.Title, len(over.Observables))
	}
	moved, opened := 0, 0
	for _, s := range replicas {
		moved += counted(t, s, "forager_route_overflow_total")
		opened += counted(t, s, "forager_cases_opened_total")
	}
	if moved < hosts-most || opened != most+1 {
		t.Errorf("counted %d detections above the limit and %d cases", moved, opened)
	}
	if n := logs.FilterMessage(string(apply.EventOverflow)).FilterField(zap.String("detail", "flood")).Len(); n < hosts-most {
		t.Errorf("%d warnings", n)
	}
	if d := b.hive.Stats(24 * time.Hour).Duplicates; d.Total() != 0 {
		t.Errorf("duplicates %+v", d)
	}
}

// replica starts a worker in this process.
func (b *backyard) replica(log *zap.Logger, settled pipeline.Observer) *service.Service {
	b.t.Helper()
	c, err := config.Load(config.Source{Env: b.env, Connects: []string{config.ToNATS, config.ToHive}})
	workertest.Must(b.t, err)
	options := service.PipelineOptions(c, log)
	options.Observer = settled
	s, err := service.New(b.t.Context(), c, rulefiles.NewWitness(), options)
	workertest.Must(b.t, err)
	ctx, stop := context.WithCancel(b.t.Context())
	var running conc.WaitGroup
	running.Go(func() { _ = s.Run(ctx) })
	b.t.Cleanup(func() { stop(); running.Wait(); s.Close() })
	return s
}

// counted reads a counter without labels.
func counted(t *testing.T, s *service.Service, name string) int {
	t.Helper()
	_, _, text := workertest.Scrape(t, s.MetricsHandler(), "/metrics", "")
	found := regexp.MustCompile("(?m)^" + name + " ([0-9]+)$").FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("no %s in %s", name, text)
	}
	n, err := strconv.Atoi(found[1])
	workertest.Must(t, err)
	return n
}
