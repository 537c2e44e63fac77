package replay

import (
	"context"
	"net"
	"net/url"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"

	"forager/pipeline/natstest"
	"forager/pipeline/stream"
	"forager/retry"
)

// leafOfHub starts a hub of the domain "hub", which will hold the streams, and gives a leaf node of it
// with a JetStream of its own.
func leafOfHub(t *testing.T) *natstest.Server {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	address, port := l.Addr().String(), l.Addr().(*net.TCPAddr).Port
	must(t, l.Close())
	startServer(t, natstest.With(func(o *server.Options) {
		o.ServerName, o.JetStreamDomain = "hub", "hub"
		o.LeafNode.Host, o.LeafNode.Port = "127.0.0.1", port
	}))
	return startServer(t, natstest.With(func(o *server.Options) {
		o.ServerName, o.JetStreamDomain = "leaf", "leaf"
		o.LeafNode.Remotes = []*server.RemoteLeafOpts{{URLs: []*url.URL{{Scheme: "nats", Host: address}}}}
		o.LeafNode.ReconnectInterval = 50 * time.Millisecond
	}))
}

// awaitHub waits until the leaf node has reached its hub.
func (r *rig) awaitHub() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(r.t.Context(), time.Minute)
	defer cancel()
	for {
		_, err := r.js.AccountInfo(ctx)
		if err == nil {
			return
		}
		if ctx.Err() != nil {
			r.t.Fatalf("the leaf node does not reach its hub: %v", err)
		}
		retry.Wait(ctx, 50*time.Millisecond)
	}
}

// TestReplayOfAnotherDomainThroughALeafNode: its consumer, its settlements, its dead letters and its
// dry reading are those of the hub, and the leaf node keeps nothing.
func TestReplayOfAnotherDomainThroughALeafNode(t *testing.T) {
	for name, way := range map[string]stream.Connection{
		"domain": {Domain: "hub"},
		"prefix": {APIPrefix: "$JS.hub.API"},
	} {
		t.Run(name, func(t *testing.T) {
			leaf := leafOfHub(t)
			r := rigOn(t, leaf, way, nil)
			r.awaitHub()
			r.ensure()
			r.fill(1, 20)
			r.publishRaw("alerts.test", []byte("broken"))
			since := long()
			same := func(o *Options) { o.Since = since }
			plans := 0
			for p, err := range r.replay(same).Plans(t.Context()) {
				must(t, err)
				plans += len(p.Plans)
			}
			if plans != 20 || r.applier.count("") != 0 || r.dead() != 0 {
				t.Errorf("dry: %d plans, %d applies, %d dead letters", plans, r.applier.count(""), r.dead())
			}
			state := r.carry(r.replay(same))
			if state.Acked != 20 || state.Dead != 1 || state.Passed != 21 || r.applier.count("") != 20 || r.dead() != 1 {
				t.Errorf("%+v, %d applied, %d dead letters", state, r.applier.count(""), r.dead())
			}
			if again := r.carry(r.replay(same)); again.Acked != 0 || !again.Resumed || again.Passed != 21 {
				t.Errorf("once more: %+v", again)
			}
			here := rigOn(t, leaf, stream.Connection{}, nil)
			for s := range here.js.StreamNames(t.Context()).Name() {
				t.Errorf("stream %s was made on the leaf node", s)
			}
		})
	}
}
