package telemetry

import (
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	sdk "go.opentelemetry.io/otel/sdk"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"

	"forager/filebound"
)

// settings is what OpenTelemetry's standard variables say of traces, or their defaults
// (opentelemetry.io, specification: general SDK configuration, and OTLP exporter).
type settings struct {
	endpoint      string // of traces, whole
	headers       map[string]string
	compress      bool
	tls           *tls.Config
	timeout       time.Duration // of one delivery, tries included
	sampler       sdktrace.Sampler
	sampling      string // its name
	resource      *resource.Resource
	queue, batch  int           // spans
	delay, within time.Duration // between batches, and for one
}

// environment reads variables and gathers what is wrong with them. The SDK would read them by itself,
// and pass over mistakes.
type environment struct {
	Options
	problems []error
}

// read says what the variables ask for: nil is no traces.
func read(o Options) (*settings, error) {
	e := &environment{Options: o}
	on := e.wanted()
	if !on || len(e.problems) > 0 {
		return nil, e.wrong()
	}
	e.protocol()
	s := &settings{
		endpoint: e.endpoint(), headers: e.headers(), compress: e.compression(), tls: e.certificates(),
		timeout:  e.milliseconds(10*time.Second, "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"),
		resource: e.resource(),
		queue:    e.number(sdktrace.DefaultMaxQueueSize, "OTEL_BSP_MAX_QUEUE_SIZE"),
		batch:    e.number(sdktrace.DefaultMaxExportBatchSize, "OTEL_BSP_MAX_EXPORT_BATCH_SIZE"),
		delay:    e.milliseconds(sdktrace.DefaultScheduleDelay*time.Millisecond, "OTEL_BSP_SCHEDULE_DELAY"),
		within:   e.milliseconds(sdktrace.DefaultExportTimeout*time.Millisecond, "OTEL_BSP_EXPORT_TIMEOUT"),
	}
	s.batch = min(s.batch, s.queue)
	s.sampling, s.sampler = e.sampler()
	return s, e.wrong()
}

// wrong is all that is wrong, a mistake of whoever set the variables.
func (e *environment) wrong() error {
	return errors.Join(e.problems...)
}

// get is the first of the variables that is set.
func (e *environment) get(names ...string) (name, value string) {
	for _, name := range names {
		if value := strings.TrimSpace(variable(e.Env, name)); value != "" {
			return name, value
		}
	}
	return "", ""
}

// variable is the value of a variable; of two with one name the last.
func variable(env []string, name string) (value string) {
	for _, v := range env {
		if n, text, _ := strings.Cut(v, "="); n == name {
			value = text
		}
	}
	return value
}

func (e *environment) refuse(name, format string, args ...any) {
	e.problems = append(e.problems, fmt.Errorf(name+": "+format, args...))
}

// wanted tells whether traces are asked for: by name, or by an address to send them to.
func (e *environment) wanted() bool {
	_, exporter := e.get("OTEL_TRACES_EXPORTER")
	_, address := e.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
	switch exporter {
	case "", "otlp", "none":
	default:
		e.refuse("OTEL_TRACES_EXPORTER", "%q: expected otlp or none", exporter)
	}
	switch _, off := e.get("OTEL_SDK_DISABLED"); strings.ToLower(off) {
	case "true":
		return false
	case "", "false":
	default:
		e.refuse("OTEL_SDK_DISABLED", "%q: expected true or false", off)
	}
	return exporter == "otlp" || exporter == "" && address != ""
}

func (e *environment) protocol() {
	name, protocol := e.get("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL")
	if protocol != "" && protocol != "http/protobuf" {
		e.refuse(name, "%q: expected http/protobuf, which collectors take on port 4318; the worker speaks nothing else", protocol)
	}
}

// endpoint is where traces go: as it is written for traces alone, with /v1/traces appended otherwise.
func (e *environment) endpoint() string {
	name, text := e.get("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
	u, err := url.Parse(cmp.Or(text, "http://localhost:4318"))
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "":
		e.refuse(name, "no address: expected one that begins with http:// or https://, as http://collector:4318")
		return ""
	case u.User != nil:
		e.refuse(name, "must hold no credentials: OTEL_EXPORTER_OTLP_HEADERS may")
	}
	if name != "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT" {
		u = u.JoinPath("v1", "traces")
	}
	return u.String()
}

// headers may hold credentials: no mistake in them is shown.
func (e *environment) headers() map[string]string {
	name, text := e.get("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "OTEL_EXPORTER_OTLP_HEADERS")
	all := map[string]string{}
	for key, value := range e.pairs(name, text) {
		if key == "" || strings.ContainsFunc(key, func(r rune) bool { return r <= ' ' || r >= 0x7f || r == ':' }) || strings.ContainsAny(value, "\r\n\x00") {
			e.refuse(name, "a name or a value that no HTTP header can have")
		}
		all[key] = value
	}
	return all
}

// pairs reads "key=value,key=value", values percent-encoded.
func (e *environment) pairs(name, text string) map[string]string {
	all := map[string]string{}
	for item := range strings.SplitSeq(text, ",") {
		if strings.TrimSpace(item) == "" {
			continue
		}
		key, value, ok := strings.Cut(item, "=")
		value, err := url.PathUnescape(strings.TrimSpace(value))
		if key = strings.TrimSpace(key); !ok || key == "" || err != nil {
			e.refuse(name, "expected key=value, parted by commas, values percent-encoded")
			return nil
		}
		all[key] = value
	}
	return all
}

func (e *environment) compression() bool {
	name, text := e.get("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "OTEL_EXPORTER_OTLP_COMPRESSION")
	if text != "" && text != "gzip" && text != "none" {
		e.refuse(name, "%q: expected gzip or none", text)
	}
	return text == "gzip"
}

// certificates are those that sign the collector's, and the worker's own.
func (e *environment) certificates() *tls.Config {
	c := &tls.Config{MinVersion: tls.VersionTLS12}
	if name, file := e.get("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"); file != "" {
		pem, err := filebound.Read(file, mostPEM)
		c.RootCAs = x509.NewCertPool()
		if err == nil && !c.RootCAs.AppendCertsFromPEM(pem) {
			err = fmt.Errorf("%s holds no PEM certificate", file)
		}
		if err != nil {
			e.refuse(name, "%w", err)
		}
	}
	name, certificate := e.get("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE")
	other, key := e.get("OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY", "OTEL_EXPORTER_OTLP_CLIENT_KEY")
	if certificate == "" && key == "" {
		return c
	}
	pair, err := keyPair(certificate, key)
	if err != nil {
		e.refuse(cmp.Or(name, other), "certificate and key are needed together: %w", err)
	}
	c.Certificates = []tls.Certificate{pair}
	return c
}

// mostPEM bounds a file of certificates or a key, in bytes.
const mostPEM = 1 << 20

func keyPair(certificate, key string) (tls.Certificate, error) {
	first, err := filebound.Read(certificate, mostPEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	second, err := filebound.Read(key, mostPEM)
	if err != nil {
		return tls.Certificate{}, err
	}
	return tls.X509KeyPair(first, second)
}

// sampler decides which traces are kept; unasked, all that the sender has not left out.
func (e *environment) sampler() (name string, s sdktrace.Sampler) {
	_, ratio := e.get("OTEL_TRACES_SAMPLER_ARG")
	share, err := strconv.ParseFloat(cmp.Or(ratio, "1"), 64)
	from, text := e.get("OTEL_TRACES_SAMPLER")
	text = cmp.Or(text, "parentbased_always_on")
	if strings.HasSuffix(text, "traceidratio") && (err != nil || !(share >= 0 && share <= 1)) {
		e.refuse("OTEL_TRACES_SAMPLER_ARG", "%q: expected a share from 0 to 1", ratio)
	}
	root, parent := strings.CutPrefix(text, "parentbased_")
	switch root {
	case "always_on":
		s = sdktrace.AlwaysSample()
	case "always_off":
		s = sdktrace.NeverSample()
	case "traceidratio":
		s = sdktrace.TraceIDRatioBased(share)
	default:
		e.refuse(from, "%q: expected always_on, always_off or traceidratio, or one of them after parentbased_", text)
		return text, nil
	}
	if parent {
		s = sdktrace.ParentBased(s)
	}
	return text, s
}

// resource says who sends the traces.
func (e *environment) resource() *resource.Resource {
	all := []attribute.KeyValue{
		attribute.String("service.name", "forager"), attribute.String("service.version", e.Version),
		attribute.String("host.name", e.Host),
		attribute.String("telemetry.sdk.name", "opentelemetry"), attribute.String("telemetry.sdk.language", "go"),
		attribute.String("telemetry.sdk.version", sdk.Version()),
	}
	if variable(e.Env, "KUBERNETES_SERVICE_HOST") != "" {
		all = append(all, attribute.String("k8s.pod.name", e.Host))
	}
	name, text := e.get("OTEL_RESOURCE_ATTRIBUTES")
	for key, value := range e.pairs(name, text) {
		all = append(all, attribute.String(key, value))
	}
	if _, service := e.get("OTEL_SERVICE_NAME"); service != "" {
		all = append(all, attribute.String("service.name", service))
	}
	return resource.NewSchemaless(all...) // of two values the last
}

func (e *environment) milliseconds(otherwise time.Duration, names ...string) time.Duration {
	return time.Duration(e.number(int(otherwise.Milliseconds()), names...)) * time.Millisecond
}

// number reads a positive number.
func (e *environment) number(otherwise int, names ...string) int {
	const most = 1 << 30
	name, text := e.get(names...)
	if text == "" {
		return otherwise
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		e.refuse(name, "%q: expected a whole number from 1 to %d", text, most)
		return otherwise
	}
	return n
}
