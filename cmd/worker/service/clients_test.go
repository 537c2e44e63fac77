package service

import (
	"slices"
	"testing"

	"go.uber.org/zap"

	"forager/cmd/worker/demo/servers"
	"forager/cmd/worker/workertest"
	"forager/config"
	"forager/enrich/apply"
	"forager/hive"
)

// TestServedAreTheOrganisationsOfTheRulesInForce: each once, the worker's own first; a reload that
// names one no more ends its gate and its metrics, and its client stays for plans under way.
func TestServedAreTheOrganisationsOfTheRulesInForce(t *testing.T) {
	c, err := config.Load(config.Source{Env: append(servers.Config("nats://127.0.0.1:1", "http://127.0.0.1:1"), "FORAGER_HIVE_ORGANISATION=soc")})
	workertest.Must(t, err)
	all, err := newClients(c, nil, zap.NewNop())
	workertest.Must(t, err)
	for _, step := range []struct {
		routes []string // their organisations
		want   []string
	}{
		{nil, []string{"soc"}},
		{[]string{"acme", "", "soc", "initech", "acme"}, []string{"soc", "acme", "initech"}},
		{[]string{"initech"}, []string{"soc", "initech"}},
		{nil, []string{"soc"}},
	} {
		rules := *c
		for _, organisation := range step.routes {
			rules.Routes = append(rules.Routes, config.Route{Organisation: organisation})
		}
		workertest.Must(t, all.serve(&rules))
		if got := all.served(); !slices.Equal(got, step.want) {
			t.Errorf("routes %q: served %q, want %q", step.routes, got, step.want)
		}
	}
	for _, organisation := range []string{"soc", "acme", "initech"} {
		if all.of(organisation) == apply.Hive((*hive.Client)(nil)) {
			t.Errorf("no client of %s", organisation)
		}
	}
}
