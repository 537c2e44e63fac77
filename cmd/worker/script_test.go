package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"regexp"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"forager/cmd/worker/demo/servers"
	"forager/cmd/worker/events"
	"forager/cmd/worker/workertest"
	"forager/hive/hivetest"
	"forager/pipeline/natstest"
)

var Update = flag.Bool("update", false, "write golden files anew")

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"worker": main})
}

// TestScripts runs the command as people do. Each script finds an embedded NATS at $NATS and a
// simulated TheHive at $HIVE, both its own, and free addresses in $OPS and $FREE.
func TestScripts(t *testing.T) {
	testscript.Run(t, testscript.Params{
		Dir:   "testdata/script",
		Setup: setUp,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"await":     await,
			"until":     until,
			"publish":   publish,
			"post":      post,
			"hive":      misbehave,
			"forget":    forget,
			"linger":    linger,
			"terminate": terminate,
			"hangup":    hangup,
		},
		UpdateScripts: *Update,
	})
}

// playground is what a script plays with.
type playground struct {
	nats *natstest.Server
	hive *hivetest.Hive
	url  string
}

type playgroundKey struct{}

func setUp(env *testscript.Env) error {
	store, err := os.MkdirTemp(env.WorkDir, "nats")
	if err != nil {
		return err
	}
	nats, err := natstest.Start(store)
	if err != nil {
		return err
	}
	env.Defer(nats.Close)
	hive := hivetest.New(hivetest.Options{Organisations: []string{hivetest.DefaultOrganisation, "tier-2"}, Users: []hivetest.User{
		{Login: "reader@thehive.local", APIKey: "key-of-a-reader", Memberships: []hivetest.Membership{{Organisation: hivetest.DefaultOrganisation, Profile: "read-only"}}},
	}})
	server, err := hivetest.Listen("127.0.0.1:0", hive)
	if err != nil {
		return err
	}
	env.Defer(func() { _ = server.Close() })
	env.Values[playgroundKey{}] = &playground{nats: nats, hive: hive, url: server.URL()}
	env.Setenv("NATS", nats.URL())
	env.Setenv("NATS_VERSION", natstest.Version)
	env.Setenv("HIVE", server.URL())
	env.Setenv("GORACE", os.Getenv("GORACE"))
	for _, name := range []string{"OPS", "FREE"} {
		addr, err := workertest.FreeAddress(context.Background())
		if err != nil {
			return err
		}
		env.Setenv(name, addr)
	}
	return nil
}

// await URL STATUS PATTERN: asks until the answer has this status and matches this pattern.
func await(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: await URL STATUS TEXT")
	}
	ctx, cancel := context.WithTimeout(context.Background(), workertest.Patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	pattern, err := regexp.Compile(args[2])
	ts.Check(err)
	last := "nothing"
	for ctx.Err() == nil {
		status, body, err := get(ctx, args[0])
		if err == nil && strconv.Itoa(status) == args[1] && pattern.MatchString(body) {
			return
		}
		if ctx.Err() == nil {
			last = fmt.Sprintf("%d %s%v", status, body, err)
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
		}
	}
	ts.Fatalf("waited for %s with %q, got %s", args[1], args[2], last)
}

func get(ctx context.Context, url string) (int, string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// post URL AUTHORIZATION FILE STATUS PATTERN: posts a file as JSON once, and holds the answer to this status and this pattern.
func post(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 5 {
		ts.Fatalf("usage: post URL AUTHORIZATION FILE STATUS PATTERN")
	}
	r, err := http.NewRequestWithContext(context.Background(), http.MethodPost, args[0], strings.NewReader(ts.ReadFile(args[2])))
	ts.Check(err)
	r.Header.Set("Authorization", args[1])
	r.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	ts.Check(err)
	if pattern := regexp.MustCompile(args[4]); strconv.Itoa(resp.StatusCode) != args[3] || !pattern.Match(body) {
		ts.Fatalf("answered %d %s", resp.StatusCode, body)
	}
}

// publish SUBJECT FILE…: publishes the events of files as a forwarder does.
func publish(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: publish SUBJECT FILE…")
	}
	f, err := servers.NewForwarder(ts.Getenv("NATS"))
	ts.Check(err)
	defer f.Close()
	for i := range args[1:] {
		args[i+1] = ts.MkAbs(args[i+1])
	}
	for e, err := range events.Of(args[1:], nil) {
		ts.Check(err)
		confirm, err := f.Send(args[0], e.Body)
		ts.Check(err)
		_, err = confirm(context.Background())
		ts.Check(err)
	}
}

// hive outage|well: takes TheHive away, or gives it back.
func misbehave(ts *testscript.TestScript, neg bool, args []string) {
	p, ok := ts.Value(playgroundKey{}).(*playground)
	if neg || !ok || len(args) != 1 {
		ts.Fatalf("usage: hive outage|well")
	}
	p.hive.Set(hivetest.Misbehaviour{Outage: args[0] == "outage"})
}

// forget SEQUENCE: takes a message out of the stream of detections, as its limits do.
func forget(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: forget SEQUENCE")
	}
	sequence, err := strconv.ParseUint(args[0], 10, 64)
	ts.Check(err)
	f, err := servers.NewForwarder(ts.Getenv("NATS"))
	ts.Check(err)
	defer f.Close()
	stream, err := f.JetStream.Stream(context.Background(), "DETECTIONS")
	ts.Check(err)
	ts.Check(stream.DeleteMsg(context.Background(), sequence))
}

// terminate NAME: sends SIGTERM, as Kubernetes does, to what runs in the background; wait NAME
// then tells how it ended.
func terminate(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: terminate NAME")
	}
	for _, cmd := range ts.BackgroundCmds() {
		if cmd.Process != nil {
			ts.Check(cmd.Process.Signal(syscall.SIGTERM))
		}
	}
}

// until PATTERN COMMAND…: runs a command again and again until its standard output matches.
func until(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: until PATTERN COMMAND…")
	}
	pattern, err := regexp.Compile(args[0])
	ts.Check(err)
	for begun := time.Now(); time.Since(begun) < workertest.Patience; {
		_ = ts.Exec(args[1], args[2:]...) // it may fail until then
		if pattern.MatchString(ts.ReadFile("stdout")) {
			return
		}
	}
	ts.Fatalf("no match for %s in:\n%s", args[0], ts.ReadFile("stdout"))
}

// hangup: sends SIGHUP to what runs in the background.
func hangup(ts *testscript.TestScript, _ bool, _ []string) {
	for _, cmd := range ts.BackgroundCmds() {
		if cmd.Process != nil {
			ts.Check(cmd.Process.Signal(syscall.SIGHUP))
		}
	}
}

// linger occupies $FREE until the script ends.
func linger(ts *testscript.TestScript, _ bool, _ []string) {
	l, err := net.Listen("tcp", ts.Getenv("FREE"))
	ts.Check(err)
	ts.Defer(func() { _ = l.Close() })
}
