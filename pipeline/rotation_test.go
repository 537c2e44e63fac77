package pipeline

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nkeys"

	"forager/pipeline/natstest"
	"forager/pipeline/stream"
)

// rotation is one kind of credentials: what the server asks for, and what a worker has for it.
type rotation struct {
	// server makes the server accept generation n, and no other.
	server func(t *testing.T, o *server.Options, n int)
	// worker writes generation n where the connection reads it.
	worker func(t *testing.T, folder string, n int) stream.Connection
	// restart: a reload keeps connections that were secured with the certificates before.
	restart bool
}

// TestCredentialsRotateWithoutRestart: the server revokes what the worker connected with, refuses
// it for a while, as happens where a secret reaches server and pod at different times, and takes
// the link back as soon as the file was exchanged.
func TestCredentialsRotateWithoutRestart(t *testing.T) {
	t.Parallel()
	for name, r := range rotations(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			folder := t.TempDir()
			s, link := r.connected(t, folder, 1)
			waitUntil(t, link.Connected)
			change := func(o *server.Options) { r.server(t, o, 2) }
			var err error
			if r.restart {
				err = s.Restart(natstest.With(change))
			} else {
				err = s.Reload(change)
			}
			if err != nil {
				t.Fatal(err)
			}
			waitUntil(t, tried(link, 3)) // left to itself, the client gives up after two
			if link.Connected() {
				t.Fatal("connected with what the server no longer accepts")
			}
			r.worker(t, folder, 2)
			waitUntil(t, link.Connected)
		})
	}
}

// TestConnectRefusesTheWrongGeneration: what the rotation rests on.
func TestConnectRefusesTheWrongGeneration(t *testing.T) {
	t.Parallel()
	for name, r := range rotations(t) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, link := r.connected(t, t.TempDir(), 2)
			waitUntil(t, func() bool { return link.Failure() != nil })
			if link.Connected() {
				t.Error("connected")
			}
		})
	}
}

// connected is a server that accepts the first generation, and a link with generation n.
func (r rotation) connected(t *testing.T, folder string, n int) (*natstest.Server, *stream.Link) {
	t.Helper()
	s, err := natstest.Start(t.TempDir(), natstest.With(func(o *server.Options) { r.server(t, o, 1) }))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	c := r.worker(t, folder, n)
	c.Pause = 20 * time.Millisecond
	return s, connectAs(t, s, c)
}

func rotations(t *testing.T) map[string]rotation {
	t.Helper()
	all := map[string]rotation{
		"user and password": userRotation(), "token": tokenRotation(), "nkey": nkeyRotation(t),
		"client certificate": certificateRotation(t, false), "client certificate, TLS first": certificateRotation(t, true),
		"certificate authority": authorityRotation(t), "credentials": credentialsRotation(t),
	}
	return all
}

var generations = []string{"", "first", "second"}

// inFile writes a generation of a secret over the one before.
func inFile(t *testing.T, folder, name string, text []byte) string {
	t.Helper()
	file := filepath.Join(folder, name)
	next := file + ".next" // exchanged at once, as Kubernetes does
	if err := os.WriteFile(next, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(next, file); err != nil {
		t.Fatal(err)
	}
	return file
}

// reading gives a secret as its file holds it now.
func reading(t *testing.T, file string) func() string {
	return func() string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Error(err)
		}
		return string(text)
	}
}

func userRotation() rotation {
	return rotation{
		server: func(_ *testing.T, o *server.Options, n int) {
			o.Users = []*server.User{{Username: "forager", Password: generations[n]}}
		},
		worker: func(t *testing.T, folder string, n int) stream.Connection {
			return stream.Connection{User: "forager", Password: "-", Secret: reading(t, inFile(t, folder, "password", []byte(generations[n])))}
		},
	}
}

func tokenRotation() rotation {
	return rotation{
		server: func(_ *testing.T, o *server.Options, n int) { o.Authorization = generations[n] },
		worker: func(t *testing.T, folder string, n int) stream.Connection {
			return stream.Connection{Token: "-", Secret: reading(t, inFile(t, folder, "token", []byte(generations[n])))}
		},
	}
}

func nkeyRotation(t *testing.T) rotation {
	t.Helper()
	var public []string
	var seeds [][]byte
	for range generations {
		pair, err := nkeys.CreateUser()
		if err != nil {
			t.Fatal(err)
		}
		key, err := pair.PublicKey()
		if err != nil {
			t.Fatal(err)
		}
		text, err := pair.Seed()
		if err != nil {
			t.Fatal(err)
		}
		public, seeds = append(public, key), append(seeds, text)
	}
	return rotation{
		server: func(_ *testing.T, o *server.Options, n int) {
			o.Nkeys = []*server.NkeyUser{{Nkey: public[n]}}
		},
		worker: func(t *testing.T, folder string, n int) stream.Connection {
			return stream.Connection{NKeySeed: inFile(t, folder, "seed", append(seeds[n], '\n'))}
		},
	}
}

// tried tells that the link has tried so often to come back, and found a server each time.
func tried(link *stream.Link, times uint64) func() bool {
	return func() bool { return link.Conn().Stats().Reconnects >= times }
}

// waitUntil asks until something is so.
func waitUntil(t *testing.T, so func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	late := time.After(time.Minute)
	for !so() {
		select {
		case <-tick.C:
		case <-late:
			t.Fatal("it never was")
		}
	}
}
