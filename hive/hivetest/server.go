package hivetest

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/sourcegraph/conc"
)

var errTrailing = errors.New("more than one value")

// Server is a Hive that listens.
type Server struct {
	hive   *Hive
	addr   string
	http   *http.Server
	done   conc.WaitGroup
	forget func()

	mu       sync.Mutex
	listener net.Listener // nil: refusing connections
	closed   bool
	broken   error // why the port could not be opened again after an outage
}

// Listen serves h on addr ("127.0.0.1:0": any free port). During Misbehaviour.Outage the port is closed, so that
// connections are refused as those to a server that does not run.
func Listen(addr string, h *Hive) (*Server, error) {
	s := &Server{hive: h, addr: addr, http: &http.Server{Handler: h, ReadHeaderTimeout: time.Minute}}
	if err := s.open(); err != nil {
		return nil, err
	}
	s.forget = h.outage.watch(s.outage)
	return s, nil
}

func (s *Server) open() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil || s.closed {
		return nil
	}
	var config net.ListenConfig
	l, err := config.Listen(context.Background(), "tcp", s.addr) //nolint:forbidigo // taking a port waits for nothing
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	s.listener, s.addr = l, l.Addr().String()
	s.done.Go(loud(func() { _ = s.http.Serve(l) }))
	return nil
}

// outage closes or opens the port.
func (s *Server) outage(on bool) {
	if !on {
		err := s.open()
		s.mu.Lock()
		defer s.mu.Unlock()
		s.broken = err
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.listener != nil {
		_ = s.listener.Close()
		s.listener = nil
	}
}

// Addr is the address that the server listens on, "127.0.0.1:34567".
func (s *Server) Addr() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addr
}

// URL is where a client finds the server, "http://127.0.0.1:34567".
func (s *Server) URL() string { return "http://" + s.Addr() }

// Close ends the server and its connections, and waits for it and for the webhooks. Its error tells too if the port could not be opened again
// after an outage. It is harmless when repeated.
func (s *Server) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	broken := s.broken
	s.mu.Unlock()
	s.forget()
	err := s.http.Close()
	s.done.Wait()
	s.hive.Delivered()
	return errors.Join(err, broken)
}

// outage tells the servers of a Hive when connections are to be refused.
type outage struct {
	mu       sync.Mutex
	on       bool
	last     int
	watchers map[int]func(bool)
}

func (o *outage) set(on bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.on == on {
		return
	}
	o.on = on
	for _, w := range o.watchers {
		w(on)
	}
}

func (o *outage) watch(f func(bool)) (forget func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.watchers == nil {
		o.watchers = map[int]func(bool){}
	}
	o.last++
	id := o.last
	o.watchers[id] = f
	return func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		delete(o.watchers, id)
	}
}
