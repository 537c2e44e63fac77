// Package natstest is a JetStream server that lives in the process: for tests and for the demonstration.
//
// Promise: a real nats-server with file storage below a folder of the caller, on loopback, on a
// port of its own, ready when [Start] returns. [Server.Restart] keeps the port and everything
// stored, so that clients reconnect; [Server.Reload] exchanges users or certificates; [Server.Close] stops it and leaves the files to the caller.
//
// Limits: one node, no authentication unless [With] configures one, no signals handled, and no
// log. It imports no testing package, since the worker's demonstration links it.
//
//	server, err := natstest.Start(dir, natstest.MaxPayload(8<<20))
//	if err != nil {
//		return err
//	}
//	defer server.Close()
//	connection, err := nats.Connect(server.URL())
package natstest

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Version is the server's: what it tells its clients.
const Version = server.VERSION

// readyWithin is how long a server may take to start; a loaded machine needs seconds.
const readyWithin = 20 * time.Second

// ErrNotReady says that the server did not accept connections in time.
var ErrNotReady = errors.New("server is not ready for connections")

// Option changes what [Start] starts.
type Option func(*server.Options)

// MaxPayload sets the largest message in bytes; nats-server's own default is 1 MiB.
func MaxPayload(bytes int32) Option {
	return func(o *server.Options) {
		o.MaxPayload = bytes
		o.MaxPending = max(o.MaxPending, 8*int64(bytes))
	}
}

// Port makes the server listen on a fixed port of loopback instead of a free one.
func Port(port int) Option { return func(o *server.Options) { o.Port = port } }

// With changes any of nats-server's own options: users and their permissions, for instance.
func With(change func(*server.Options)) Option { return change }

// Server is a running nats-server. Its methods are not safe for concurrent use.
type Server struct {
	options server.Options
	running *server.Server
}

// Start starts a server that stores below dir and returns when it takes connections.
func Start(dir string, options ...Option) (*Server, error) {
	o := server.Options{
		Host: "127.0.0.1", Port: server.RANDOM_PORT,
		JetStream: true, StoreDir: dir,
		NoSigs: true, NoLog: true,
		MaxControlLine: 4096, DisableJetStreamBanner: true,
	}
	for _, option := range options {
		option(&o)
	}
	s := &Server{options: o}
	if err := s.start(); err != nil {
		return nil, err
	}
	return s, nil
}

func (s *Server) start() error {
	if err := free(s.options.Host, s.options.Port); err != nil {
		return fmt.Errorf("nats server: %w", err)
	}
	options := s.options // the server keeps and changes what it is given
	running, err := server.NewServer(&options)
	if err != nil {
		return fmt.Errorf("nats server: %w", err)
	}
	running.Start()
	if !running.ReadyForConnections(readyWithin) {
		stop(running)
		return fmt.Errorf("nats server: %w", ErrNotReady)
	}
	s.running = running
	if address, ok := running.Addr().(*net.TCPAddr); ok {
		s.options.Port = address.Port
	}
	return nil
}

// free fails when a fixed port is taken: the server itself would only log that, and never be ready.
func free(host string, port int) error {
	if port <= 0 {
		return nil
	}
	listener, err := net.ListenTCP("tcp", &net.TCPAddr{IP: net.ParseIP(host), Port: port})
	if err != nil {
		return err
	}
	return listener.Close()
}

// URL is where clients connect: "nats://127.0.0.1:port", the same after a restart.
func (s *Server) URL() string {
	return "nats://" + net.JoinHostPort(s.options.Host, strconv.Itoa(s.options.Port))
}

// Dial connects to the server in memory, whether it listens or not, as a client of the process does.
func (s *Server) Dial() (net.Conn, error) {
	if s.running == nil {
		return nil, net.ErrClosed
	}
	return s.running.InProcessConn()
}

// Close stops the server and waits until it has; what it stored stays. Closing twice is harmless.
func (s *Server) Close() {
	if s.running == nil {
		return
	}
	stop(s.running)
	s.running = nil
}

// Restart stops the server, if it runs, and starts it again on the same port and storage; options
// change what it was started with.
func (s *Server) Restart(options ...Option) error {
	s.Close()
	for _, option := range options {
		option(&s.options)
	}
	return s.start()
}

// Reload changes the options of the running server as a changed file and a signal do: clients whose
// credentials are gone lose their connection. The change holds for later restarts, too.
func (s *Server) Reload(change func(*server.Options)) error {
	options := s.options
	change(&options)
	s.options = options
	if err := s.running.ReloadOptions(&options); err != nil {
		return fmt.Errorf("nats server: reload: %w", err)
	}
	return nil
}

func stop(running *server.Server) {
	running.Shutdown()
	running.WaitForShutdown()
}
