package telemetry

import (
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/zap"
)

func TestTracesAreOffUnlessTheyAreAskedFor(t *testing.T) {
	t.Parallel()
	for env, want := range map[string]bool{
		"":                                     false,
		"OTEL_TRACES_SAMPLER=nonsense":         false, // what is off is not looked at
		"OTEL_EXPORTER_OTLP_ENDPOINT=":         false,
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://c": true,
		"OTEL_TRACES_EXPORTER=otlp":            true,
		"OTEL_TRACES_EXPORTER=none":            false,
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://c OTEL_TRACES_EXPORTER=none": false,
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://c OTEL_SDK_DISABLED=TRUE":    false,
		"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://c OTEL_SDK_DISABLED=false":   true,
	} {
		s, err := read(Options{Env: strings.Fields(env)})
		if err != nil || (s != nil) != want {
			t.Errorf("%s: on %t, %v", env, s != nil, err)
		}
	}
	if off, err := Start(t.Context(), Options{Log: zap.NewNop()}); off.Provider() != nil || err != nil {
		t.Errorf("%v, %v", off.Provider(), err)
	}
}

func TestVariablesOfOpenTelemetryAreFollowed(t *testing.T) {
	t.Parallel()
	s, err := read(Options{Version: "v1", Host: "worker-1", Env: []string{
		"OTEL_EXPORTER_OTLP_ENDPOINT=https://collector:4318/base/", "OTEL_EXPORTER_OTLP_HEADERS=x-a=1, Authorization=Bearer%20s%2Ct",
		"OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf", "OTEL_EXPORTER_OTLP_TIMEOUT=1500", "OTEL_EXPORTER_OTLP_COMPRESSION=none",
		"OTEL_EXPORTER_OTLP_TRACES_COMPRESSION=gzip", "OTEL_TRACES_SAMPLER=parentbased_traceidratio", "OTEL_TRACES_SAMPLER_ARG=0.25",
		"OTEL_RESOURCE_ATTRIBUTES=service.name=other,deployment.environment.name=a%20b,host.name=h", "OTEL_SERVICE_NAME=carrier",
		"OTEL_BSP_MAX_QUEUE_SIZE=10", "OTEL_BSP_SCHEDULE_DELAY=20", "OTEL_BSP_EXPORT_TIMEOUT=30", "KUBERNETES_SERVICE_HOST=10.0.0.1",
	}})
	if err != nil {
		t.Fatal(err)
	}
	if s.endpoint != "https://collector:4318/base/v1/traces" || s.timeout != 1500*time.Millisecond || !s.compress ||
		s.queue != 10 || s.batch != 10 || s.delay != 20*time.Millisecond || s.within != 30*time.Millisecond {
		t.Errorf("%+v", s)
	}
	if d := cmp.Diff(map[string]string{"x-a": "1", "Authorization": "Bearer s,t"}, s.headers); d != "" {
		t.Error(d)
	}
	if got := s.sampler.Description(); !strings.Contains(got, "TraceIDRatioBased{0.25}") || !strings.HasPrefix(got, "ParentBased") {
		t.Errorf("sampler %s", got)
	}
	got := map[string]string{}
	for _, kv := range s.resource.Attributes() {
		got[string(kv.Key)] = kv.Value.String()
	}
	for _, differs := range []string{"service.version", "telemetry.sdk.version"} {
		if got[differs] == "" {
			t.Errorf("no %s", differs)
		}
		delete(got, differs)
	}
	if d := cmp.Diff(map[string]string{
		"service.name": "carrier", "deployment.environment.name": "a b", "host.name": "h", "k8s.pod.name": "worker-1",
		"telemetry.sdk.name": "opentelemetry", "telemetry.sdk.language": "go",
	}, got); d != "" {
		t.Error(d)
	}
	s, err = read(Options{Env: []string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://c/as/it/is", "OTEL_EXPORTER_OTLP_ENDPOINT=http://other"}})
	if err != nil || s.endpoint != "http://c/as/it/is" {
		t.Errorf("%v %v", s, err)
	}
	if s, err = read(Options{Env: []string{"OTEL_TRACES_EXPORTER=otlp"}}); err != nil || s.endpoint != "http://localhost:4318/v1/traces" {
		t.Errorf("%v %v", s, err)
	}
}

// TestMistakesInVariablesNameTheVariableAndNoSecret: each is refused at the start.
func TestMistakesInVariablesNameTheVariableAndNoSecret(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	must(t, os.WriteFile(empty, nil, 0o600))
	for _, wrong := range []string{
		"OTEL_SDK_DISABLED=yes", "OTEL_TRACES_EXPORTER=zipkin", "OTEL_TRACES_EXPORTER=otlp,console",
		"OTEL_EXPORTER_OTLP_ENDPOINT=collector:4318", "OTEL_EXPORTER_OTLP_ENDPOINT=grpc://collector", "OTEL_EXPORTER_OTLP_ENDPOINT=http://",
		"OTEL_EXPORTER_OTLP_ENDPOINT=http://u:s3cret@c", "OTEL_EXPORTER_OTLP_ENDPOINT=http://u:s3cret@c:x y",
		"OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL=http/json",
		"OTEL_EXPORTER_OTLP_HEADERS=s3cret", "OTEL_EXPORTER_OTLP_HEADERS=a=%zzs3cret", "OTEL_EXPORTER_OTLP_HEADERS=a b=s3cret",
		"OTEL_EXPORTER_OTLP_HEADERS=a=s3cret%0D%0Ab:c", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT=10s", "OTEL_EXPORTER_OTLP_TIMEOUT=0",
		"OTEL_EXPORTER_OTLP_COMPRESSION=zstd", "OTEL_EXPORTER_OTLP_CERTIFICATE=/does/not/exist", "OTEL_EXPORTER_OTLP_CERTIFICATE=" + empty,
		"OTEL_EXPORTER_OTLP_CLIENT_KEY=/does/not/exist", "OTEL_TRACES_SAMPLER=always", "OTEL_RESOURCE_ATTRIBUTES=a",
		"OTEL_BSP_MAX_QUEUE_SIZE=-1", "OTEL_BSP_MAX_EXPORT_BATCH_SIZE=many", "OTEL_BSP_SCHEDULE_DELAY=1.5",
		"OTEL_TRACES_SAMPLER_ARG=2", "OTEL_TRACES_SAMPLER_ARG=NaN", "OTEL_TRACES_SAMPLER_ARG=half",
	} {
		name, _, _ := strings.Cut(wrong, "=")
		env := []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c", wrong}
		if name == "OTEL_TRACES_SAMPLER_ARG" {
			env = append(env, "OTEL_TRACES_SAMPLER=traceidratio")
		}
		s, err := Start(t.Context(), Options{Env: env, Log: zap.NewNop()})
		if s != nil || err == nil || !strings.HasPrefix(err.Error(), name+": ") || strings.Contains(err.Error(), "s3cret") {
			t.Errorf("%s: %v", wrong, err)
		}
	}
}

// TestFilesOfVariablesHaveABound: one that is larger than the memory is refused before it is read.
func TestFilesOfVariablesHaveABound(t *testing.T) {
	large := filepath.Join(t.TempDir(), "large.pem")
	must(t, os.WriteFile(large, nil, 0o600))
	if err := os.Truncate(large, 512<<20); err != nil { // a hole: it takes no room
		t.Skipf("no file with a hole of 512 MiB can be made here: %v", err)
	}
	for _, name := range []string{"OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_KEY"} {
		env := []string{"OTEL_EXPORTER_OTLP_ENDPOINT=http://c", name + "=" + large}
		if name != "OTEL_EXPORTER_OTLP_CERTIFICATE" {
			env = append(env, "OTEL_EXPORTER_OTLP_CLIENT_KEY="+large, "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE="+large)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Start(t.Context(), Options{Env: env, Log: zap.NewNop()})
		runtime.ReadMemStats(&after)
		if err == nil || !strings.Contains(err.Error(), large+" is too large: more than 1 MiB") {
			t.Errorf("%s: %v", name, err)
		}
		if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 64 {
			t.Errorf("%s: took %d MiB", name, used)
		}
	}
}
