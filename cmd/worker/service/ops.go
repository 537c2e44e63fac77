package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof" // what it registers by itself is never served
	"slices"
	"strings"
	"time"

	"forager/cmd/worker/shell"
	"forager/config"
	"forager/pipeline"
)

// readiness tells whether work gets done, and if not, why not.
type readiness interface {
	Ready() (bool, []string)
	// Notes are what is worth knowing, although work gets done.
	Notes() []string
}

// operations is the server for probes.
type operations struct {
	http *http.Server
	done pipeline.Tasks
	addr string
}

// listenOps serves /healthz, /readyz, /version, /metrics, the page where there is one and, when asked for, /debug/pprof/.
func listenOps(ctx context.Context, c config.Ops, r readiness, metrics, page http.Handler) (*operations, error) {
	var listen net.ListenConfig
	l, err := listen.Listen(ctx, "tcp", c.Addr)
	if err != nil {
		return nil, fmt.Errorf("ops.addr: %w", err)
	}
	o := &operations{addr: l.Addr().String(), http: &http.Server{
		Handler:           opsHandler(r, metrics, page, c.Pprof),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second,
		WriteTimeout:      writeTimeout(c.Pprof),
		IdleTimeout:       time.Minute,
		MaxHeaderBytes:    16 << 10,
	}}
	o.done.Go("serve", func() { _ = o.http.Serve(l) }) // it ends when Close is called, and not before
	return o, nil
}

// Close ends the server and waits for it.
func (o *operations) Close() error {
	err := o.http.Close()
	_ = o.done.Wait() // a panic has ended the process
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// opsHandler answers probes. Alive is who answers; ready is who gets work done.
func opsHandler(r readiness, metrics, page http.Handler, profiles bool) http.Handler {
	mux := http.NewServeMux()
	if page != nil {
		mux.Handle("GET /{$}", page)
		mux.Handle("GET /page/", page)
	}
	mux.Handle("GET /metrics", metrics)
	if profiles {
		mux.HandleFunc("GET /debug/pprof/", pprof.Index)
		mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
		mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
		mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	}
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { tell(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) { tell(w, http.StatusOK, shell.Version()) })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if ready, reasons := r.Ready(); !ready {
			tell(w, http.StatusServiceUnavailable, strings.Join(slices.Concat([]string{"not ready"}, reasons, r.Notes()), "\n"))
			return
		}
		tell(w, http.StatusOK, strings.Join(append([]string{"ready"}, r.Notes()...), "\n"))
	})
	return mux
}

// writeTimeout leaves profiles, which take as long as the caller says, their time.
func writeTimeout(profiles bool) time.Duration {
	if profiles {
		return 2 * time.Minute
	}
	return 10 * time.Second
}

func tell(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = io.WriteString(w, text+"\n") // the prober has gone: there is nobody to tell
}
