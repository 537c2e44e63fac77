package nats

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/conf"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/sourcegraph/conc"

	"forager/pipeline/natstest"
	"forager/pipeline/stream"
)

// A part is a block of permissions.conf, and what it promises to be enough for.
type part struct {
	name string
	on   []string // the parts that it goes on top of
	task func(ctx context.Context, s *site) error
}

var parts = []part{
	{name: "FORAGER_BIND", task: consume},
	{name: "FORAGER_ROLLBACK", on: []string{"FORAGER_BIND"}, task: lookBack},
	{name: "FORAGER_MANAGE", on: []string{"FORAGER_BIND"}, task: manage},
	{name: "FORAGER_REPLAY", on: []string{"FORAGER_BIND"}, task: replayAll},
	{name: "FORAGER_FILES", on: []string{"FORAGER_BIND"}, task: files},
	{name: "FORAGER_JOURNAL", on: []string{"FORAGER_BIND"}, task: journalled},
	{name: "FORAGER_JOURNAL_MANAGE", on: []string{"FORAGER_BIND", "FORAGER_JOURNAL"}, task: journalManaged},
	{name: "FORAGER_HOLD", on: []string{"FORAGER_BIND"}, task: holdBelow},
	{name: "FORAGER_HOLD_MANAGE", on: []string{"FORAGER_BIND", "FORAGER_HOLD"}, task: holdManaged},
	{name: "FORAGER_AUDIT", on: []string{"FORAGER_BIND"}, task: learnAudits},
	{name: "FORAGER_AUDIT_MANAGE", on: []string{"FORAGER_BIND", "FORAGER_AUDIT"}, task: auditManaged},
	{name: "FORAGER_FEEDBACK", on: []string{"FORAGER_BIND"}, task: tellSources},
	{name: "FORAGER_FEEDBACK_MANAGE", on: []string{"FORAGER_BIND", "FORAGER_FEEDBACK"}, task: feedbackManaged},
	{name: "FORAGER_FEEDBACK_READ", task: readFeedback},
	{name: "FORAGER_INTAKE", task: takeIn},
	{name: "FORAGER_LETTERS", task: letters},
	{name: "FORAGER_PROVE", task: proven},
}

// allowed is what a user may do.
type allowed struct{ publish, subscribe []string }

// TestPermissionsSufficeAndNoneIsTooMuch does what each part is for with only its lines, then
// without each of them. A line that nothing misses, in neither form of acknowledgements, goes.
func TestPermissionsSufficeAndNoneIsTooMuch(t *testing.T) {
	t.Parallel()
	all := readPermissions(t)
	if len(all) != len(parts) {
		t.Errorf("permissions.conf has %d parts, %d are tested", len(all), len(parts))
	}
	for _, p := range parts {
		own := all[p.name]
		base := p.base(all)
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			for _, v2 := range []bool{false, true} {
				if err := try(t, p, base.with(own), v2); err != nil {
					t.Errorf("all lines, js_ack_fc_v2 %v: %v", v2, err)
				}
			}
			for _, line := range slices.Concat(own.publish, own.subscribe) {
				t.Run(line, func(t *testing.T) {
					t.Parallel()
					rest := base.with(own).without(line)
					err := try(t, p, rest, false)
					if err == nil {
						err = try(t, p, rest, true)
					}
					if !errors.Is(err, errRefused) {
						t.Errorf("nothing misses it: %v", err)
					}
				})
			}
		})
	}
}

// base is what a part goes on top of.
func (p part) base(all map[string]allowed) allowed {
	var base allowed
	for _, name := range p.on {
		base = base.with(all[name])
	}
	return base
}

func (a allowed) with(b allowed) allowed {
	return allowed{slices.Concat(a.publish, b.publish), slices.Concat(a.subscribe, b.subscribe)}
}

func (a allowed) without(line string) allowed {
	is := func(s string) bool { return s == line }
	return allowed{slices.DeleteFunc(slices.Clone(a.publish), is), slices.DeleteFunc(slices.Clone(a.subscribe), is)}
}

// A site is a server with two users: the worker's, who may do what the test says, and one who
// may do everything.
type site struct {
	t      *testing.T
	server *natstest.Server
	worker *stream.Link // as the worker's user
	admin  *stream.Link

	refused context.CancelCauseFunc // ends the task
}

const password = "only for this test"

// errRefused says that the server refused the worker's user something.
var errRefused = errors.New("the server refused")

// patience bounds a task; one that is refused something ends at once.
const patience = 30 * time.Second

// try runs a part's task on a server of its own, and once more on another where a server fails itself, which says nothing of permissions:
// one that could not make a store for a stream was seen on a busy disk.
func try(t *testing.T, p part, a allowed, v2 bool) error {
	t.Helper()
	err := tryOnce(t, p, a, v2)
	if failed, ok := errors.AsType[*jetstream.APIError](err); ok && failed.Code == http.StatusInternalServerError && !errors.Is(err, errRefused) {
		t.Logf("once more: %v", err)
		err = tryOnce(t, p, a, v2)
	}
	return err
}

func tryOnce(t *testing.T, p part, a allowed, v2 bool) error {
	t.Helper()
	user := &server.User{Username: "forager", Password: password, Permissions: &server.Permissions{
		Publish: only(a.publish), Subscribe: only(a.subscribe),
	}}
	s := &site{t: t, server: startServer(t, user, v2)}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	s.admin = s.connect("admin")
	s.worker = s.connect("forager")
	ctx, s.refused = context.WithCancelCause(ctx)
	defer s.refused(nil)
	var watch conc.WaitGroup
	defer watch.Wait()
	done, finish := context.WithCancel(ctx)
	defer finish()
	watch.Go(func() { s.watch(done) })
	if err := p.task(ctx, s); err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	if v := s.worker.Violations(); len(v) > 0 {
		return fmt.Errorf("%w: %s", errRefused, strings.Join(v, "; "))
	}
	return nil
}

// only allows these subjects; to the server an empty list would mean all.
func only(subjects []string) *server.SubjectPermission {
	if len(subjects) == 0 {
		return &server.SubjectPermission{Deny: []string{">"}}
	}
	return &server.SubjectPermission{Allow: subjects}
}

func startServer(t *testing.T, user *server.User, v2 bool) *natstest.Server {
	t.Helper()
	s, err := natstest.Start(t.TempDir(), natstest.With(func(o *server.Options) {
		o.Users = []*server.User{user, {Username: "admin", Password: password}}
		o.FeatureFlags = map[string]bool{"js_ack_fc_v2": v2}
	}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// watch ends the task as soon as something is refused: a refused request has no answer.
func (s *site) watch(ctx context.Context) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			if v := s.worker.Violations(); len(v) > 0 {
				s.refused(fmt.Errorf("%w: %s", errRefused, strings.Join(v, "; ")))
				return
			}
		}
	}
}

func (s *site) connect(user string) *stream.Link {
	s.t.Helper()
	link, err := stream.Connect(s.t.Context(), stream.Connection{
		URLs: []string{s.server.URL()}, User: user, Password: password, InboxPrefix: "_INBOX_" + user,
	}, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(link.Close)
	return link
}

// readPermissions reads the file as the server would.
func readPermissions(t *testing.T) map[string]allowed {
	t.Helper()
	text, err := os.ReadFile("permissions.conf")
	if err != nil {
		t.Fatal(err)
	}
	read, err := conf.Parse(string(text))
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]allowed{}
	for name, block := range read {
		lists, ok := block.(map[string]any)
		if !ok {
			t.Fatalf("%s is no block", name)
		}
		all[name] = allowed{publish: texts(t, lists["publish"]), subscribe: texts(t, lists["subscribe"])}
	}
	return all
}

func texts(t *testing.T, list any) []string {
	t.Helper()
	if list == nil {
		return nil
	}
	var all []string
	for _, v := range list.([]any) {
		s, ok := v.(string)
		if !ok {
			t.Fatalf("%v is no text", v)
		}
		all = append(all, s)
	}
	return all
}

// TestPermissionsLoadInAServer: each block, copied as the head of the file says.
func TestPermissionsLoadInAServer(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("permissions.conf")
	if err != nil {
		t.Fatal(err)
	}
	for name, want := range readPermissions(t) {
		_, rest, _ := strings.Cut(string(text), "\n"+name+": {")
		block, _, _ := strings.Cut(rest, "\n}\n")
		file := filepath.Join(t.TempDir(), "nats.conf")
		use := name + ": {" + block + "\n}\nauthorization { users: [ { user: forager, password: x, permissions: $" + name + " } ] }\n"
		if err := os.WriteFile(file, []byte(use), 0o600); err != nil {
			t.Fatal(err)
		}
		o, err := server.ProcessConfigFile(file)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := o.Users[0].Permissions
		if !slices.Equal(got.Publish.Allow, want.publish) {
			t.Errorf("%s: the server reads %v", name, got.Publish.Allow)
		}
	}
}
