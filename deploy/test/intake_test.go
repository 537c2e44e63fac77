package deploytest

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
)

// TestTheIntakeKnowsNATSAlone: who takes alerts from anybody has no key of TheHive, and an account of its own.
func TestTheIntakeKnowsNATSAlone(t *testing.T) {
	all := render(t, "--values", valueSets(t)["6-intake"])
	var d apps.Deployment
	read(t, only(t, all, "Deployment", true), &d)
	pod := d.Spec.Template.Spec
	var secrets []string
	for _, v := range pod.Volumes {
		if v.Projected == nil {
			continue
		}
		for _, s := range v.Projected.Sources {
			secrets = append(secrets, s.Secret.Name+"/"+s.Secret.Items[0].Key+" "+s.Secret.Items[0].Path)
		}
		if *v.Projected.DefaultMode != 0o440 {
			t.Errorf("mode %04o", *v.Projected.DefaultMode)
		}
	}
	want := []string{"senders/kibana intake-kibana", "senders/splunk intake-splunk", "senders/svix intake-svix", "nats-intake/password nats.password"}
	if !slices.Equal(secrets, want) {
		t.Errorf("secrets %q, want %q", secrets, want)
	}
	c := pod.Containers[0].SecurityContext
	if !*pod.SecurityContext.RunAsNonRoot || pod.SecurityContext.SeccompProfile.Type != core.SeccompProfileTypeRuntimeDefault || *c.AllowPrivilegeEscalation ||
		!slices.Equal(c.Capabilities.Drop, []core.Capability{"ALL"}) || !*c.ReadOnlyRootFilesystem || *pod.AutomountServiceAccountToken || *pod.EnableServiceLinks {
		t.Errorf("not restricted: %+v %+v", pod.SecurityContext, c)
	}
	var other apps.Deployment
	read(t, one(t, all, "Deployment"), &other)
	if matches(other.Spec.Selector.MatchLabels, d.Spec.Template.Labels) || matches(d.Spec.Selector.MatchLabels, other.Spec.Template.Labels) {
		t.Error("one Deployment takes the pods of the other for its own")
	}
}

func matches(selector, labels map[string]string) bool {
	for k, v := range selector {
		if labels[k] != v {
			return false
		}
	}
	return true
}

// TestTheIntakeReadsItsConfiguration: what the chart renders is what "worker intake" takes, up to the files that are not here.
func TestTheIntakeReadsItsConfiguration(t *testing.T) {
	text, _ := at(only(t, render(t, "--values", valueSets(t)["6-intake"]), "ConfigMap", true).tree, "data", "intake.yaml").(string)
	dir := t.TempDir()
	for _, name := range []string{"secrets/intake-kibana", "secrets/intake-splunk", "secrets/intake-svix", "secrets/nats.password"} {
		if err := os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	text = strings.ReplaceAll(text, "/etc/forager", dir)
	text = strings.Replace(text, "caFile:", "# ", 1)
	file := filepath.Join(dir, "intake.yaml")
	if err := os.WriteFile(file, []byte(strings.Replace(text, ":8082", "nowhere.invalid:8082", 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	run := exec.CommandContext(t.Context(), "go", "run", "./cmd/worker", "intake", "--config", file)
	run.Dir = "../.."
	// Everything is read, and then there is no such address to listen at.
	if out, err := run.CombinedOutput(); err == nil || !strings.Contains(string(out), "intake.addr: listen") {
		t.Errorf("%v\n%s\n%s", err, out, text)
	}
}

// TestWhoMayPostIsSaid: nobody but those named reaches the intake, and it reaches NATS and no further.
func TestWhoMayPostIsSaid(t *testing.T) {
	all := render(t, "--values", valueSets(t)["6-intake"])
	var p networking.NetworkPolicy
	read(t, only(t, all, "NetworkPolicy", true), &p)
	var in, out []string
	for _, r := range p.Spec.Ingress {
		in = append(in, r.Ports[0].Port.String()+" "+r.From[0].NamespaceSelector.MatchLabels["kubernetes.io/metadata.name"])
	}
	for _, r := range p.Spec.Egress {
		out = append(out, r.Ports[0].Port.String())
	}
	if !slices.Equal(in, []string{"http ingress-nginx", "ops monitoring"}) || !slices.Equal(out, []string{"53", "4222"}) {
		t.Errorf("in %q, out %q", in, out)
	}
	var i networking.Ingress
	read(t, only(t, all, "Ingress", true), &i)
	path := i.Spec.Rules[0].HTTP.Paths[0]
	if path.Path != "/v1/detections" || path.Backend.Service.Name != "soc-forager-intake" || i.Spec.TLS[0].SecretName != "alerts-tls" || i.Spec.TLS[0].Hosts[0] != i.Spec.Rules[0].Host {
		t.Errorf("%+v", i.Spec)
	}
	var s core.Service
	read(t, only(t, all, "Service", true), &s)
	if s.Spec.Ports[0].Name != "http" || s.Spec.Ports[0].Port != 8082 {
		t.Errorf("%+v", s.Spec.Ports)
	}
}
