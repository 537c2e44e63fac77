package feedback

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"forager/cmd/worker/service"
	"forager/cmd/worker/shell"
	"forager/config"
	"forager/filebound"
	"forager/pipeline/feedback"
	"forager/pipeline/stream"
)

// Configured reads the configuration that a flag names.
type Configured struct {
	AddTo func(*pflag.FlagSet)
	Load  func(sh *shell.Shell, connects ...string) (*config.Config, error)
}

// Commands are "worker feedback".
func Commands(sh *shell.Shell, from Configured) *cobra.Command {
	e := &elasticCmd{from: from}
	return shell.Branch("feedback", "Close alerts where they came from, once their case is closed.", e.command(sh))
}

// elasticCmd is "worker feedback elastic".
type elasticCmd struct {
	from                                  Configured
	url, keyFile, caFile, format, durable string
	reasons, once                         bool
}

func (c *elasticCmd) command(sh *shell.Shell) *cobra.Command {
	cmd := shell.Leaf(sh, "elastic", "Give alerts of Elastic Security the status of their case, until stopped.", c.run)
	c.from.AddTo(cmd.Flags())
	cmd.Flags().StringVar(&c.url, "url", "", "Kibana's `ADDRESS`, https://kibana.example.org:5601, with /s/SPACE for a space.")
	cmd.Flags().StringVar(&c.keyFile, "api-key-file", "", "`FILE` with an API key that may read and write alerts; read again for each request.")
	cmd.Flags().StringVar(&c.caFile, "ca-file", "", "`FILE` with certificates (PEM) that sign Kibana's, instead of the system's.")
	cmd.Flags().StringVar(&c.format, "source", "elastic", "Format that read the alerts: `NAME`, as in worker formats ls.")
	cmd.Flags().StringVar(&c.durable, "consumer", "elastic", "Durable consumer, `NAME`: it is made where it is missing; one process reads for it.")
	cmd.Flags().BoolVar(&c.reasons, "reasons", false, "Say why an alert is closed (false_positive, …), where your Kibana knows reason.")
	cmd.Flags().BoolVar(&c.once, "once", false, "End when nothing waits, or with 1 at the first failure.")
	return cmd
}

// maxKey and maxCertificates bound files, in bytes.
const (
	maxKey          = 4 << 10
	maxCertificates = 1 << 20
)

// kibanaWithin bounds one request.
const kibanaWithin = 20 * time.Second

// errOff says that no source is told anything.
var errOff = errors.New("feedback.subject: missing: no source is told anything without it")

// run works until it is told to stop.
func (c *elasticCmd) run(ctx context.Context, sh *shell.Shell) error {
	cfg, err := c.from.Load(sh, config.ToNATS)
	if err != nil {
		return err
	}
	if cfg.Feedback.Subject == "" {
		return shell.Misuse(errOff)
	}
	elastic, err := c.elastic()
	if err != nil {
		return shell.Misuse(err)
	}
	defer elastic.HTTP.CloseIdleConnections()
	log, err := service.NewLogger(cfg, sh.Err)
	if err != nil {
		return err
	}
	link, err := stream.Connect(ctx, service.Connection(cfg, log), log)
	if err != nil {
		return shell.Misuse(err)
	}
	defer link.Close()
	reader := feedback.NewReader(link, feedback.Reading{Stream: cfg.Feedback.Stream, Subject: service.FeedbackOptions(cfg).OfSource(c.format), Consumer: c.durable})
	err = loop{inbox: reader, source: elastic, once: c.once, log: log}.run(ctx)
	if ctx.Err() != nil {
		return nil // told to stop
	}
	return err
}

// elastic is Kibana, as the flags say.
func (c *elasticCmd) elastic() (*Elastic, error) {
	u, err := url.Parse(c.url)
	if c.url == "" || err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.User != nil {
		return nil, errors.New("--url: expected Kibana's address, https://… without user and password")
	}
	if !stream.ValidName(c.durable) {
		return nil, errors.New("--consumer: a name is not empty and has no dot, star, > or space")
	}
	key := func() (string, error) {
		text, err := filebound.Read(c.keyFile, maxKey)
		return strings.TrimSpace(string(text)), err
	}
	if first, err := key(); c.keyFile == "" || err != nil || first == "" {
		return nil, fmt.Errorf("--api-key-file: %w", cmp.Or(err, errors.New("expected a file with an API key")))
	}
	roots, err := c.roots()
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12},
		TLSHandshakeTimeout: kibanaWithin, IdleConnTimeout: time.Minute, ForceAttemptHTTP2: true,
	}
	return &Elastic{
		URL: c.url, Reasons: c.reasons,
		APIKey: func() string { k, _ := key(); return k }, // an empty one is refused, and tried again
		HTTP:   &http.Client{Transport: transport, Timeout: kibanaWithin, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
	}, nil
}

// roots are the certificates that sign Kibana's; nil is the system's.
func (c *elasticCmd) roots() (*x509.CertPool, error) {
	if c.caFile == "" {
		return nil, nil //nolint:nilnil // the system's
	}
	text, err := filebound.Read(c.caFile, maxCertificates)
	if err != nil {
		return nil, fmt.Errorf("--ca-file: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(text) {
		return nil, errors.New("--ca-file: it holds no certificate (PEM)")
	}
	return pool, nil
}
