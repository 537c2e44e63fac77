package deploytest

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	operator "github.com/prometheus-operator/prometheus-operator/pkg/apis/monitoring/v1"
	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	"sigs.k8s.io/yaml"
)

// types are the Go types that objects must fit without a field left over.
var types = map[string]func() any{
	"v1 ConfigMap":                            func() any { return new(core.ConfigMap) },
	"v1 Service":                              func() any { return new(core.Service) },
	"v1 ServiceAccount":                       func() any { return new(core.ServiceAccount) },
	"apps/v1 Deployment":                      func() any { return new(apps.Deployment) },
	"policy/v1 PodDisruptionBudget":           func() any { return new(policy.PodDisruptionBudget) },
	"networking.k8s.io/v1 NetworkPolicy":      func() any { return new(networking.NetworkPolicy) },
	"networking.k8s.io/v1 Ingress":            func() any { return new(networking.Ingress) },
	"monitoring.coreos.com/v1 ServiceMonitor": func() any { return new(operator.ServiceMonitor) },
	"monitoring.coreos.com/v1 PrometheusRule": func() any { return new(operator.PrometheusRule) },
}

func TestChartLints(t *testing.T) {
	for name, values := range valueSets(t) {
		if out, complaint, err := runHelm(t, "lint", "--strict", chart, "--values", values); err != nil {
			t.Errorf("%s: %v\n%s%s", name, err, out, complaint)
		}
	}
}

// TestEveryObjectIsValid: all kinds must have been seen, so that none is skipped for want of a
// value set.
func TestEveryObjectIsValid(t *testing.T) {
	custom := customSchemas(t)
	seen := map[string]bool{}
	for set, values := range valueSets(t) {
		for _, o := range render(t, "--values", values) {
			seen[o.kind] = true
			where := set + ": " + o.kind + " " + o.name
			if made, ok := types[o.kind]; ok {
				if err := yaml.UnmarshalStrict(o.text, made()); err != nil {
					t.Errorf("%s: %v", where, err)
				}
				continue
			}
			schema, ok := custom[o.kind]
			if !ok && len(custom) > 0 {
				t.Errorf("%s: nothing to validate it by", where)
			} else if ok {
				if err := schema.Validate(o.tree); err != nil {
					t.Errorf("%s: %v", where, err)
				}
			}
		}
	}
	for kind := range types {
		if !seen[kind] {
			t.Errorf("no value set renders a %s", kind)
		}
	}
	for _, kind := range []string{"keda.sh/v1alpha1 ScaledObject", nack + " Stream", nack + " Consumer", nack + " KeyValue", nack + " ObjectStore"} {
		if !seen[kind] {
			t.Errorf("no value set renders a %s", kind)
		}
	}
}

// TestPodsAreRestricted: what Pod Security "restricted" asks, and no token.
func TestPodsAreRestricted(t *testing.T) {
	for set, values := range valueSets(t) {
		var d apps.Deployment
		read(t, one(t, render(t, "--values", values), "Deployment"), &d)
		pod := d.Spec.Template.Spec
		c := pod.Containers[0].SecurityContext
		for what, right := range map[string]bool{
			"runs as nobody in particular": *pod.SecurityContext.RunAsNonRoot && (pod.SecurityContext.RunAsUser == nil || *pod.SecurityContext.RunAsUser > 0),
			"seccomp":                      pod.SecurityContext.SeccompProfile.Type == core.SeccompProfileTypeRuntimeDefault,
			"no escalation":                !*c.AllowPrivilegeEscalation,
			"no capabilities":              slices.Equal(c.Capabilities.Drop, []core.Capability{"ALL"}) && c.Capabilities.Add == nil,
			"read only":                    *c.ReadOnlyRootFilesystem,
			"no token":                     !*pod.AutomountServiceAccountToken,
			"no service variables":         !*pod.EnableServiceLinks,
			"no host":                      !pod.HostNetwork && !pod.HostPID && !pod.HostIPC,
		} {
			if !right {
				t.Errorf("%s: not so: %s", set, what)
			}
		}
	}
}

// TestSecretsAreReadableForThePodAlone: with the bits that the kubelet gives to the pod's group, as the
// worker's check asks (a file of mode 0444 is readable for whoever gets into the pod as another user).
func TestSecretsAreReadableForThePodAlone(t *testing.T) {
	for set, values := range valueSets(t) {
		var d apps.Deployment
		read(t, one(t, render(t, "--values", values), "Deployment"), &d)
		pod, secrets := d.Spec.Template.Spec, 0
		for _, v := range pod.Volumes {
			mode := int32(0o644) // Kubernetes' own
			switch {
			case v.Secret != nil && v.Secret.DefaultMode != nil:
				mode = *v.Secret.DefaultMode
			case v.Projected != nil && v.Projected.DefaultMode != nil:
				mode = *v.Projected.DefaultMode
			case v.Secret == nil && v.Projected == nil:
				continue
			}
			secrets++
			if mode != 0o440 {
				t.Errorf("%s: volume %s has mode %04o, want 0440", set, v.Name, mode)
			}
		}
		want := map[string]int64{"2-secured": 10001}[set]
		if want == 0 {
			want = 65532
		}
		if group := pod.SecurityContext.FSGroup; secrets == 0 || group == nil || *group != want {
			t.Errorf("%s: %d volumes of secrets, for group %v, want %d", set, secrets, group, want)
		}
	}
}

// TestThePlatformMayAssignTheGroup: OpenShift refuses a group that it has not assigned.
func TestThePlatformMayAssignTheGroup(t *testing.T) {
	for _, unset := range []string{"podSecurityContext.fsGroup=null", "podSecurityContext=null"} {
		var d apps.Deployment
		read(t, one(t, render(t, "--values", valueSets(t)["1-minimal"], "--set", unset), "Deployment"), &d)
		context := d.Spec.Template.Spec.SecurityContext
		if context.FSGroup != nil || !*context.RunAsNonRoot {
			t.Errorf("%s: %v", unset, context)
		}
	}
}

// TestTimesFollowTheCallTimeOut: lease, AckWait and grace, for short and long calls.
func TestTimesFollowTheCallTimeOut(t *testing.T) {
	for _, timeout := range []int{1, 10, 11, 30, 600} {
		all := render(t, "--values", valueSets(t)["4-scaled"], "--set", "thehive.timeoutSeconds="+strconv.Itoa(timeout))
		var d apps.Deployment
		read(t, one(t, all, "Deployment"), &d)
		if grace := int(*d.Spec.Template.Spec.TerminationGracePeriodSeconds); grace <= timeout+2 {
			t.Errorf("time-out %d s: killed after %d s", timeout, grace)
		}
		config := workerConfig(t, all)
		lease, ackWait := seconds(t, config, "ledger", "lease"), seconds(t, config, "nats", "ackWait")
		if 2*lease < 3*timeout || ackWait < lease {
			t.Errorf("time-out %d s: lease %d s, AckWait %d s", timeout, lease, ackWait)
		}
		if got := seconds(t, one(t, all, "Consumer").tree, "spec", "ackWait"); got != ackWait {
			t.Errorf("the consumer waits %d s, the worker believes %d s", got, ackWait)
		}
	}
}

// TestReplicasFitMaxAckPending: KEDA cannot start more replicas than the consumer has room for.
func TestReplicasFitMaxAckPending(t *testing.T) {
	all := render(t, "--values", valueSets(t)["4-scaled"])
	most := at(one(t, all, "ScaledObject").tree, "spec", "maxReplicaCount").(float64)
	room := at(one(t, all, "Consumer").tree, "spec", "maxAckPending").(float64)
	const inFlight = 64 * 16
	if room < 4*most*inFlight {
		t.Errorf("room for %v messages, %v replicas hold up to %d each", room, most, inFlight)
	}
}

// TestWorkerReadsItsConfiguration: what the chart renders is what the worker takes.
func TestWorkerReadsItsConfiguration(t *testing.T) {
	worker := filepath.Join(t.TempDir(), "worker")
	build := exec.CommandContext(t.Context(), "go", "build", "-o", worker, "./cmd/worker")
	build.Dir = "../.."
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	for set, values := range valueSets(t) {
		all := render(t, "--values", values)
		text := at(one(t, workerMaps(all), "ConfigMap").tree, "data", "worker.yaml").(string)
		text = strings.ReplaceAll(text, "/etc/forager/rules", mounted(t, all, "-rules"))
		text = strings.ReplaceAll(text, "/etc/forager/formats", mounted(t, all, "-formats"))
		text = strings.ReplaceAll(text, "[/formats]", "["+t.TempDir()+"]")
		text = strings.ReplaceAll(text, "- /formats", "- "+t.TempDir())
		file := filepath.Join(t.TempDir(), "worker.yaml")
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		explain := exec.CommandContext(t.Context(), worker, "explain", "--config", file)
		explain.Stdin = bytes.NewReader([]byte("{}"))
		if out, err := explain.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s\n%s", set, err, out, text)
		}
	}
}

// TestTracesGoWhereTheValuesSay, and the network policy lets them; without an address there are none.
func TestTracesGoWhereTheValuesSay(t *testing.T) {
	for set, want := range map[string]int{"1-minimal": 0, "2-secured": 1} {
		all := render(t, "--values", valueSets(t)[set], "--set", "networkPolicy.enabled=true")
		var d apps.Deployment
		read(t, one(t, all, "Deployment"), &d)
		var p networking.NetworkPolicy
		read(t, one(t, all, "NetworkPolicy"), &p)
		env, rules := 0, 0
		for _, e := range d.Spec.Template.Spec.Containers[0].Env {
			if e.Name == "OTEL_EXPORTER_OTLP_ENDPOINT" && e.Value == "http://collector.observability.svc:4318" {
				env++
			}
		}
		for _, r := range p.Spec.Egress {
			if r.Ports[0].Port.IntValue() == 4318 && len(r.To) == 1 {
				rules++
			}
		}
		if env != want || rules != want {
			t.Errorf("%s: %d variables, %d rules", set, env, rules)
		}
	}
}

func TestBadValuesAreRefused(t *testing.T) {
	for want, sets := range map[string][]string{
		"thehive.url is needed":            {"thehive.url="},
		"thehive.apiKey.secret.name":       {"thehive.apiKey.secret.name="},
		"give one of credentials":          {"nats.credentials.secret.name=a", "nats.nkey.secret.name=b"},
		"nats.user.secret.name is needed":  {"nats.user.name=a"},
		"needs nats.tls.secretName":        {"nats.tls.clientCertificate=true"},
		"nobody would create the consumer": {"keda.enabled=true", "keda.minReplicas=0"},
		"minReplicas must not exceed":      {"keda.enabled=true", "keda.minReplicas=9"},
		"additional properties 'tiemout'":  {"thehive.tiemout=3"},
		"/keda/monitoringEndpoint":         {"keda.monitoringEndpoint=http://nats:8222"},
		"/thehive/url":                     {"thehive.url=thehive"},
		"/image/digest":                    {"image.digest=latest"},
		"/nats/stream":                     {"nats.stream=a.b"},
		"/tracing/endpoint":                {"tracing.endpoint=collector:4317"},
		"/podSecurityContext/fsGroup":      {"podSecurityContext.fsGroup=nobody"},
		"how does TheHive show itself":     {"webhook.enabled=true"},
		"webhook: give one of":             {"webhook.enabled=true", "webhook.token.secret.name=a", "webhook.user.name=b"},
		"webhook.user.secret.name":         {"webhook.enabled=true", "webhook.user.name=b"},
		"webhook.ingress.tlsSecretName":    {"webhook.enabled=true", "webhook.token.secret.name=a", "webhook.ingress.enabled=true", "webhook.ingress.host=h"},
		"/nats/maxAge":                     {"nats.maxAge=forever"},
		"/nats/replicas":                   {"nats.replicas=7"},
		"/nats/maxBytes":                   {"nats.maxBytes=much"},
		"/rules/silences/0":                {"rules.silences[0].name=a"},
		"/formats":                         {"formats.acme=x"},
		"intake.sources is needed":         {"intake.enabled=true"},
		"/intake/sources/0/subject":        {"intake.enabled=true", "intake.sources[0].name=a", "intake.sources[0].subject=b.>", "intake.sources[0].token.secret.name=c"},
		"/intake/sources/0":                {"intake.enabled=true", "intake.sources[0].name=a", "intake.sources[0].subject=b"},
		"a needs the name of a Secret":     {"intake.enabled=true", "intake.sources[0].name=a", "intake.sources[0].subject=b", "intake.sources[0].token.secret.key=c"},
		"intake.ingress.tlsSecretName":     {"intake.enabled=true", "intake.sources[0].name=a", "intake.sources[0].subject=b", "intake.sources[0].token.secret.name=c", "intake.ingress.enabled=true", "intake.ingress.host=h"},
	} {
		args := []string{"template", "soc", chart, "--set", "thehive.url=https://hive"}
		for _, s := range sets {
			args = append(args, "--set", s)
		}
		if _, complaint, err := runHelm(t, args...); err == nil || !strings.Contains(complaint, want) {
			t.Errorf("%v: want %q, got %v: %s", sets, want, err, complaint)
		}
	}
}

// TestTheRuntimeKeepsBelowTheMemoryLimit: GOMEMLIMIT is nine tenths of it, unless extraEnv says another.
func TestTheRuntimeKeepsBelowTheMemoryLimit(t *testing.T) {
	for limit, want := range map[string]string{
		"resources.limits.memory=512Mi":                        "483183820",
		"resources.limits.memory=1.5Gi":                        "1449551462",
		"resources.limits.memory=1G":                           "900000000",
		"resources.limits.memory=2000000000":                   "1800000000",
		"resources.limits.memory=0.5e9":                        "",
		"resources.limits=null":                                "",
		"extraEnv[0].name=GOMEMLIMIT,extraEnv[0].value=300MiB": "300MiB",
	} {
		var d apps.Deployment
		read(t, one(t, render(t, "--values", valueSets(t)["1-minimal"], "--set", limit), "Deployment"), &d)
		got := ""
		for _, e := range d.Spec.Template.Spec.Containers[0].Env {
			if e.Name == "GOMEMLIMIT" {
				got += e.Value
			}
		}
		if got != want {
			t.Errorf("%s: GOMEMLIMIT %q, want %q", limit, got, want)
		}
	}
}

// TestREADMENamesEveryValue: each leaf of values.yaml has its row, and no row is of the past.
func TestREADMENamesEveryValue(t *testing.T) {
	text, err := os.ReadFile(chart + "/README.md")
	if err != nil {
		t.Fatal(err)
	}
	var values map[string]any
	values = load(t, chart+"/values.yaml")
	var leaves []string
	walk("", values, &leaves)
	var rows []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(text), -1) {
		rows = append(rows, m[1])
	}
	slices.Sort(leaves)
	slices.Sort(rows)
	for _, l := range leaves {
		if !slices.Contains(rows, l) {
			t.Errorf("README.md has no row for %s", l)
		}
	}
	for _, r := range rows {
		if !slices.Contains(leaves, r) {
			t.Errorf("README.md describes %s, which is no value", r)
		}
	}
}

func walk(prefix string, tree map[string]any, leaves *[]string) {
	for key, v := range tree {
		if m, ok := v.(map[string]any); ok && len(m) > 0 {
			walk(prefix+key+".", m, leaves)
			continue
		}
		*leaves = append(*leaves, prefix+key)
	}
}

func load(t *testing.T, name string) map[string]any {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	var tree map[string]any
	if err := yaml.UnmarshalStrict(text, &tree); err != nil {
		t.Fatal(err)
	}
	return tree
}

func read(t *testing.T, o object, into any) {
	t.Helper()
	if err := yaml.UnmarshalStrict(o.text, into); err != nil {
		t.Fatal(err)
	}
}

// workerMaps leaves the dashboard's ConfigMap out.
func workerMaps(all []object) []object {
	return slices.DeleteFunc(slices.Clone(all), func(o object) bool {
		return strings.HasSuffix(o.name, "-dashboard") || strings.HasSuffix(o.name, "-rules") || strings.HasSuffix(o.name, "-formats")
	})
}

// mounted writes the files of the ConfigMap whose name ends so, as a pod finds them.
func mounted(t *testing.T, all []object, suffix string) string {
	t.Helper()
	dir := t.TempDir()
	for _, o := range all {
		if o.kind != "v1 ConfigMap" || !strings.HasSuffix(o.name, suffix) {
			continue
		}
		data, _ := o.tree["data"].(map[string]any)
		for name, text := range data {
			if err := os.WriteFile(filepath.Join(dir, name), []byte(text.(string)), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	return dir
}

func workerConfig(t *testing.T, all []object) map[string]any {
	t.Helper()
	text, _ := at(one(t, workerMaps(all), "ConfigMap").tree, "data", "worker.yaml").(string)
	var config map[string]any
	if err := yaml.UnmarshalStrict([]byte(text), &config); err != nil {
		t.Fatal(err)
	}
	return config
}

func seconds(t *testing.T, tree any, path ...any) int {
	t.Helper()
	text, _ := at(tree, path...).(string)
	d, err := time.ParseDuration(text)
	if err != nil {
		t.Fatalf("%v: %v", path, err)
	}
	return int(d.Seconds())
}
