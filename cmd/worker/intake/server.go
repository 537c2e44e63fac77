package intake

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/sourcegraph/conc"
	"go.uber.org/zap"
	"golang.org/x/net/netutil"
)

// mostConnections is how many connections there are at a time; more wait to be taken.
const mostConnections = 1024

// drainWithin is how long requests that have begun may take once the intake is told to stop.
const drainWithin = 10 * time.Second

// Server listens for senders.
type Server struct {
	Addr    string // where it listens
	http    *http.Server
	serving conc.WaitGroup
}

// Listen serves a handler at an address until Close or DrainAfter.
func Listen(ctx context.Context, addr string, h *Handler) (*Server, error) {
	var listening net.ListenConfig
	l, err := listening.Listen(ctx, "tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("intake.addr: %w", err)
	}
	s := &Server{Addr: l.Addr().String(), http: &http.Server{
		Handler:           h,
		ReadHeaderTimeout: min(5*time.Second, h.options.ReadWithin),
		ReadTimeout:       h.options.ReadWithin,
		WriteTimeout:      h.options.ReadWithin + 15*time.Second, // and what the stream takes to answer
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32 << 10,
		ErrorLog:          zap.NewStdLog(h.options.Log), // what breaks before there is a request
	}}
	s.serving.Go(func() { _ = s.http.Serve(netutil.LimitListener(l, mostConnections)) }) // it ends with the listener, and not before
	return s, nil
}

// DrainAfter waits for the end of ctx, takes no more requests from then on, and returns when those that had begun are
// answered, or cut off after some seconds. Of an intake that is off, which is nil, it returns at once.
func (s *Server) DrainAfter(ctx context.Context) {
	if s == nil {
		return
	}
	<-ctx.Done()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), drainWithin)
	defer cancel()
	_ = s.http.Shutdown(ctx) // what it leaves is cut off
	s.Close()
}

// Close cuts off what has begun. It may be called more than once, and of an intake that is off.
func (s *Server) Close() {
	if s == nil {
		return
	}
	_ = s.http.Close() // senders whose connections do not close well send again
	s.serving.Wait()
}
