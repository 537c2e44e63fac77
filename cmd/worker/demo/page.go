package demo

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"html/template"
	"net"
	"net/http"
	"time"

	"forager/cmd/worker/shell"
	"forager/pipeline"
)

//go:embed page.html
var pageText string

// page is the template of the demonstration's page. It escapes whatever an alert brought along.
var page = template.Must(template.New("page").Parse(pageText))

// hostPort refuses what no server can listen at.
func hostPort(addr string) error {
	if _, _, err := net.SplitHostPort(addr); err != nil {
		return fmt.Errorf("--addr: %s is no address: expected HOST:PORT", shell.Shown(addr))
	}
	return nil
}

// listenPage takes the address of the page before anything is shown: one that is taken should not
// end a demonstration that went well.
func listenPage(ctx context.Context, addr string) (net.Listener, error) {
	var config net.ListenConfig
	l, err := config.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("demo: --addr: %w", err)
	}
	return l, nil
}

// stay shows the cases on a page until it is told to end. The worker keeps working: what is
// published to the embedded server in the meantime appears.
func (s *stage) stay(ctx context.Context, sh *shell.Shell, l net.Listener) error {
	server := &http.Server{Handler: s.pages(), ReadHeaderTimeout: 5 * time.Second, WriteTimeout: 30 * time.Second}
	var serving pipeline.Tasks
	serving.Go("serve", func() { _ = server.Serve(l) }) // ends when it is closed, and not before
	sh.Say("the cases: http://%s/", l.Addr())
	sh.Say("NATS listens at %s (stream DEMO, publish to demo.anything), TheHive is simulated at %s", s.nats.URL(), s.server.URL())
	<-ctx.Done()
	err := server.Close()
	_ = serving.Wait() // a panic has ended the process
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

func (s *stage) pages() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		h := w.Header()
		h.Set("Content-Type", "text/html; charset=utf-8")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'")
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cache-Control", "no-store")
		_ = page.Execute(w, s.view()) // the reader has gone: there is nobody to tell
	})
	return mux
}

// view is what the page shows.
type view struct {
	Rows    []row
	Reasons []string
	Settled int
}

func (s *stage) view() view {
	v := view{Settled: s.tally.settled()}
	for _, c := range s.hive.Snapshot().Cases {
		v.Rows = append(v.Rows, rowOf(c))
	}
	for _, why := range s.tally.why() {
		v.Reasons = append(v.Reasons, fmt.Sprintf("%d × %s", why.count, why.text))
	}
	return v
}
