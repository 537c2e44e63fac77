package deploytest

import (
	"slices"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
)

// named finds the object of a kind whose name ends so.
func named(t *testing.T, all []object, kind, suffix string) object {
	t.Helper()
	for _, o := range all {
		if strings.HasSuffix(o.kind, " "+kind) && strings.HasSuffix(o.name, suffix) {
			return o
		}
	}
	t.Fatalf("no %s …%s", kind, suffix)
	return object{}
}

// TestTheHiveReachesTheWebhookAndNobodyElse.
func TestTheHiveReachesTheWebhookAndNobodyElse(t *testing.T) {
	all := render(t, "--values", valueSets(t)["7-webhook"])
	var d apps.Deployment
	read(t, named(t, all, "Deployment", "soc-forager"), &d)
	var s core.Service
	read(t, named(t, all, "Service", "-webhook"), &s)
	if !matches(s.Spec.Selector, d.Spec.Template.Labels) || len(s.Spec.Ports) != 1 || s.Spec.Ports[0].Port != 8081 || s.Spec.Ports[0].TargetPort.String() != "webhook" {
		t.Errorf("service: %+v", s.Spec)
	}
	if !slices.ContainsFunc(d.Spec.Template.Spec.Containers[0].Ports, func(p core.ContainerPort) bool { return p.Name == "webhook" && p.ContainerPort == 8081 }) {
		t.Errorf("ports: %+v", d.Spec.Template.Spec.Containers[0].Ports)
	}
	var p networking.NetworkPolicy
	read(t, named(t, all, "NetworkPolicy", "soc-forager"), &p)
	if in := p.Spec.Ingress; len(in) != 1 || in[0].Ports[0].Port.String() != "webhook" || in[0].From[0].NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"] != "thehive" {
		t.Errorf("may come in: %+v", in)
	}
	var i networking.Ingress
	read(t, named(t, all, "Ingress", "-webhook"), &i)
	path := i.Spec.Rules[0].HTTP.Paths[0]
	if path.Path != "/hooks/thehive" || path.Backend.Service.Name != s.Name || i.Spec.TLS[0].SecretName != "forager-tls" || i.Spec.TLS[0].Hosts[0] != i.Spec.Rules[0].Host {
		t.Errorf("%+v", i.Spec)
	}
	config := workerConfig(t, all)
	if at(config, "webhook", "tokenFile") != "/etc/forager/secrets/webhook" || at(config, "webhook", "addr") != ":8081" {
		t.Errorf("webhook: %v", config["webhook"])
	}
	found := false
	for _, v := range d.Spec.Template.Spec.Volumes {
		if v.Projected == nil {
			continue
		}
		for _, source := range v.Projected.Sources {
			found = found || source.Secret.Name == "thehive-webhook" && source.Secret.Items[0].Path == "webhook"
		}
	}
	if !found {
		t.Error("the secret is not mounted")
	}
	off := render(t, "--values", valueSets(t)["7-webhook"], "--set", "webhook.enabled=false")
	for _, o := range off {
		if strings.Contains(string(o.text), "webhook") {
			t.Errorf("%s %s speaks of a webhook that is off", o.kind, o.name)
		}
	}
}

// TestRulesReloadAndRestartNothing: pods are the same after a change of routes or formats, and others after one of the configuration.
func TestRulesReloadAndRestartNothing(t *testing.T) {
	pods := func(set ...string) (apps.Deployment, []object) {
		args := []string{"--values", valueSets(t)["7-webhook"]}
		for _, s := range set {
			args = append(args, "--set", s)
		}
		all := render(t, args...)
		var d apps.Deployment
		read(t, named(t, all, "Deployment", "soc-forager"), &d)
		return d, all
	}
	const sum = "checksum/config"
	before, all := pods()
	for what, set := range map[string]string{
		"a route": "rules.routes[0].drop=false", "a silence": "rules.silences[0].owner=somebody", "a format": `formats.acme_sentry\.yaml=format: acme_sentry`,
	} {
		after, _ := pods(set)
		if before.Spec.Template.Annotations[sum] != after.Spec.Template.Annotations[sum] {
			t.Errorf("%s restarts the pods", what)
		}
	}
	if after, _ := pods("config.log.level=debug"); before.Spec.Template.Annotations[sum] == after.Spec.Template.Annotations[sum] {
		t.Error("a change of the configuration restarts nothing")
	}
	rules, _ := at(named(t, all, "ConfigMap", "-rules").tree, "data", "rules.yaml").(string)
	if !strings.Contains(rules, "name: noise") || !strings.Contains(rules, "name: red team") {
		t.Errorf("rules: %s", rules)
	}
	if got, _ := at(workerConfig(t, all), "rules", "files", 0).(string); got != "/etc/forager/rules" {
		t.Errorf("rules.files: %q", got)
	}
}

// TestStreamsAreMadeAsTheValuesSay, and only where the worker makes them.
func TestStreamsAreMadeAsTheValuesSay(t *testing.T) {
	config := workerConfig(t, render(t, "--values", valueSets(t)["7-webhook"]))
	for want, got := range map[string]any{
		"3": at(config, "nats", "replicas"), "168h": at(config, "nats", "maxAge"), "10GiB": at(config, "nats", "maxBytes"), "1073741824": at(config, "deadLetters", "maxBytes"),
	} {
		if text := shown(got); text != want {
			t.Errorf("%s, want %s", text, want)
		}
	}
	if nack := workerConfig(t, render(t, "--values", valueSets(t)["4-scaled"])); at(nack, "nats", "replicas") != nil || at(nack, "nats", "manage") != false {
		t.Errorf("with nack: %v", nack["nats"])
	}
}
