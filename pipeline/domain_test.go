package pipeline

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"

	"forager/pipeline/deadletter"
	"forager/pipeline/inspect"
	"forager/pipeline/kvledger"
	"forager/pipeline/natstest"
	"forager/pipeline/objects"
	"forager/pipeline/stream"
	"forager/retry"
)

// leafAndHub are a hub that holds the streams, of the domain "hub", and a leaf node with a JetStream
// of its own, to which the worker connects.
func leafAndHub(t *testing.T) (leaf, hub *natstest.Server) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address, port := l.Addr().String(), l.Addr().(*net.TCPAddr).Port
	must(t, l.Close())
	hub, err = natstest.Start(t.TempDir(), natstest.With(func(o *server.Options) {
		o.ServerName, o.JetStreamDomain = "hub", "hub"
		o.LeafNode.Host, o.LeafNode.Port = "127.0.0.1", port
	}))
	must(t, err)
	t.Cleanup(hub.Close)
	leaf, err = natstest.Start(t.TempDir(), natstest.With(func(o *server.Options) {
		o.ServerName, o.JetStreamDomain = "leaf", "leaf"
		o.LeafNode.Remotes = []*server.RemoteLeafOpts{{URLs: []*url.URL{{Scheme: "nats", Host: address}}}}
		o.LeafNode.ReconnectInterval = 50 * time.Millisecond
	}))
	must(t, err)
	t.Cleanup(leaf.Close)
	return leaf, hub
}

// TestStreamsOfAnotherDomainAreUsedThroughALeafNode: for everything, and nothing is made on the leaf.
func TestStreamsOfAnotherDomainAreUsedThroughALeafNode(t *testing.T) {
	for name, c := range map[string]stream.Connection{
		"domain":         {Domain: "hub"},
		"prefix":         {APIPrefix: "$JS.hub.API"},
		"prefix and dot": {APIPrefix: "$JS.hub.API."},
	} {
		t.Run(name, func(t *testing.T) {
			leaf, hub := leafAndHub(t)
			onHub := connectAs(t, hub, stream.Connection{})
			r := rigOn(t, leaf, nil)
			onLeaf := r.js
			r.link = connectAs(t, leaf, c)
			r.js = onHub.JetStream()
			awaitDomain(t, r.link)
			r.ensure()
			r.publish(alert{ID: "a", Keys: []string{"k"}})
			r.publishRaw("alerts.x", []byte("not json"))
			_, stop := r.start()
			r.ended(2)
			must(t, stop())

			ledger := kvledger.New(r.link, kvledger.Options{})
			revision, err := ledger.Put(t.Context(), "key.a", []byte("{}"), 0)
			must(t, err)
			must(t, ledger.Purge(t.Context(), "key.a", revision))
			if letters := r.letters(); len(letters) != 1 || string(letters[0].Body) != "not json" {
				t.Errorf("letters through the leaf: %+v", letters)
			}
			requeueAll(t, r)
			store, err := onHub.JetStream().CreateObjectStore(t.Context(), jetstream.ObjectStoreConfig{Bucket: "F"})
			must(t, err)
			_, err = store.PutString(t.Context(), "f", "content")
			must(t, err)
			object, err := objects.New(r.link).Find(t.Context(), "F/f")
			must(t, err)
			content, err := object.Open(t.Context())
			must(t, err)
			if text, err := io.ReadAll(content); err != nil || string(text) != "content" {
				t.Errorf("%q, %v", text, err)
			}
			_ = content.Close()
			found, err := inspect.Inspect(t.Context(), r.link, r.options.Expected())
			must(t, err)
			for _, f := range found {
				if f.Level == inspect.LevelBroken || f.About == "permissions" && f.Level != inspect.LevelOK {
					t.Errorf("%+v", f)
				}
			}
			for s := range onLeaf.StreamNames(t.Context()).Name() {
				t.Errorf("stream %s was made on the leaf", s)
			}
		})
	}
}

// awaitDomain waits until the leaf has reached its hub.
func awaitDomain(t *testing.T, link *stream.Link) {
	t.Helper()
	for range 1200 {
		if _, err := link.JetStream().AccountInfo(t.Context()); err == nil {
			return
		}
		retry.Wait(t.Context(), 50*time.Millisecond)
	}
	t.Fatal("the leaf does not reach its hub")
}

func requeueAll(t *testing.T, r *rig) {
	t.Helper()
	letters := deadletter.Open(r.link, r.options.DeadLetters)
	for letter, err := range letters.List(t.Context(), deadletter.Filter{}) {
		must(t, err)
		must(t, letters.Requeue(t.Context(), letter))
	}
}

func TestImpossibleDomainsAreRefused(t *testing.T) {
	for _, c := range []stream.Connection{
		{Domain: "a", APIPrefix: "b"}, {Domain: "a.b"}, {Domain: "a b"}, {Domain: "*"}, {APIPrefix: "a.>"}, {APIPrefix: "a b"},
	} {
		c.URLs = []string{"nats://127.0.0.1:1"}
		if _, err := stream.Connect(t.Context(), c, nil); !errors.Is(err, stream.ErrConnection) {
			t.Errorf("%s: %v", strings.TrimSpace(fmt.Sprint(c.Domain, " ", c.APIPrefix)), err)
		}
	}
}
