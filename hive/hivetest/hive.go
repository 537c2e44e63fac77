package hivetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sourcegraph/conc"
	"github.com/sourcegraph/conc/panics"
)

// Hive is the server. It is an http.Handler, safe for concurrent use.
type Hive struct {
	options Options
	release release
	quirks  Quirks
	dice    dice
	fault   atomic.Pointer[Misbehaviour]
	gate    throttle
	journal journal
	hooks   hooks
	outage  outage
	crowd   crowd
	hooked  webhooks
	changes chan struct{} // holds one when something may have changed since it was last taken

	mu     sync.RWMutex // guards all below; never held while a call waits, is read or is answered
	store  *store
	audits []audit
	later  []postponed
}

// postponed is an effect that comes after the answer to its call.
type postponed struct {
	due time.Time // by the machine's clock
	act func()
}

// postpone lets an effect wait. It comes when it is due, whether anybody calls or not: webhooks tell of it then. Called under the lock.
func (h *Hive) postpone(by time.Duration, act func()) {
	h.later = append(h.later, postponed{time.Now().Add(by), act})
	time.AfterFunc(by, h.catchUp)
}

// catchUp makes the effects that are due, in their order.
func (h *Hive) catchUp() {
	h.mu.RLock()
	idle := len(h.later) == 0
	h.mu.RUnlock()
	if idle {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	var waiting []postponed
	for _, p := range h.later {
		if p.due.After(now) {
			waiting = append(waiting, p)
			continue
		}
		p.act()
	}
	h.later = waiting
	h.changed()
}

var _ http.Handler = (*Hive)(nil)

// New makes a server that behaves.
func New(o Options) *Hive {
	h := &Hive{options: o.withDefaults(), changes: make(chan struct{}, 1)}
	h.release = releaseOf(h.options.Version)
	h.quirks = h.options.Quirks.settled(h.release)
	h.dice.rand = rand.New(rand.NewPCG(o.Seed, 0))
	h.fault.Store(&Misbehaviour{})
	h.journal.limit = h.options.Journal
	h.hooked.open(h.options.Webhooks)
	h.Reset()
	return h
}

// Reset forgets every entity, the journal and the counts, as if the server were new. Misbehaviour and hooks stay.
func (h *Hive) Reset() {
	s := h.found()
	h.mu.Lock()
	h.store, h.audits, h.later = s, nil, nil
	h.mu.Unlock()
	h.journal.reset()
	h.changed()
}

// changed tells whoever keeps the state that it may be another one.
func (h *Hive) changed() {
	select {
	case h.changes <- struct{}{}:
	default:
	}
}

// Set replaces the misbehaviour, for calls that begin from now on.
func (h *Hive) Set(m Misbehaviour) {
	h.fault.Store(&m)
	h.outage.set(m.Outage)
}

// Misbehaviour returns what was last set.
func (h *Hive) Misbehaviour() Misbehaviour { return *h.fault.Load() }

func (h *Hive) now() int64 { return h.options.Clock().UnixMilli() }

func (h *Hive) stamp(login string) stamp {
	search, lists, _ := h.lags()
	return stamp{by: login, ms: h.now(), wall: time.Now(), lag: search, childLag: lists}
}

// dice are random numbers that a seed repeats.
type dice struct {
	mu   sync.Mutex
	rand *rand.Rand
}

// roll is true with the given probability.
func (d *dice) roll(p float64) bool {
	if p <= 0 {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.rand.Float64() < p
}

// below returns a duration in [0, limit).
func (d *dice) below(limit time.Duration) time.Duration {
	if limit <= 0 {
		return 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Duration(d.rand.Int64N(int64(limit)))
}

// What a server made with zero Options knows.
const (
	DefaultUser         = "admin@thehive.local" // login, org-admin of DefaultOrganisation and admin of "admin"
	DefaultPassword     = "secret"              // password of DefaultUser
	DefaultAPIKey       = "simulated"           // Bearer key of DefaultUser
	DefaultOrganisation = "main-org"            // where a call without X-Organisation lands
	adminOrganisation   = "admin"
	systemUser          = "system@thehive.local"
)

// Options say what kind of TheHive this is. The zero value is a fresh 5.5.13 with one user and one organisation.
type Options struct {
	// Patterns are the ATT&CK patterns that this server holds; anything else is "not found". nil: a small built-in set.
	Patterns []Pattern
	// Organisations exist beside "admin". nil: DefaultOrganisation alone. The first is the default user's own.
	Organisations []string
	// Users exist beside DefaultUser.
	Users []User
	// Profiles exist beside TheHive's own: their permissions by name.
	Profiles map[string][]string
	// APIKey is DefaultUser's key. Empty: DefaultAPIKey.
	APIKey string
	// Clock gives the time that the server writes into its entities and resolves relative dates by. nil: time.Now.
	Clock func() time.Time
	// Seed makes the dice of Misbehaviour repeatable.
	Seed uint64
	// MaxBody is the largest request in bytes that carries no file; larger is 413. 0: 10 MB, TheHive's default.
	MaxBody int64
	// MaxUpload is the largest request in bytes that carries files. 0: 256 MiB (TheHive's own default is 1 GB).
	MaxUpload int64
	// Lenient accepts properties that TheHive's API description does not know, as TheHive itself may; they are ignored.
	Lenient bool
	// Version is what the status says, and what the server does as that release does. Empty: "5.5.13-1".
	Version string
	// Quirks are what is known of one server and not of all.
	Quirks Quirks
	// Journal is how many calls are remembered. 0: 4096. Their bodies together take at most 32 MiB.
	Journal int
	// MISP and Cortex are the names of servers that the connectors have. nil: there are none.
	MISP, Cortex []string
	// Analyzers and Responders are those of the servers in Cortex. nil: a few. Without Cortex there are none.
	Analyzers  []Analyzer
	Responders []Responder
	// JobTime is how long a job or an action of Cortex takes. 0: a second.
	JobTime time.Duration
	// RefuseJobs answers 404 to a job for an analyzer or a Cortex that there is not; else it is taken, and fails.
	RefuseJobs bool
	// Webhooks are told of every change, as the endpoints of an organisation are. Changes are recorded whether there are
	// any or not: see [Hive.Documents].
	Webhooks []Webhook
}

// Pattern is one ATT&CK technique that the server holds.
type Pattern struct {
	ID      string   // "T1059.001"
	Name    string   // "PowerShell"
	Tactics []string // short names, "execution"
	Revoked bool
}

// User is an account of the server.
type User struct {
	Login, Name      string
	Type             string       // "Normal", "Service"; empty: Normal
	Password, APIKey string       // empty: no such way in
	Memberships      []Membership // the first is where calls without X-Organisation land
}

// Membership is a user's place in an organisation.
type Membership struct {
	Organisation string // name
	Profile      string // "admin", "org-admin", "analyst", "read-only" or one made through the API
}

func (o Options) withDefaults() Options {
	if o.Patterns == nil {
		o.Patterns = builtIn
	}
	if o.Organisations == nil {
		o.Organisations = []string{DefaultOrganisation}
	}
	o.APIKey = or(o.APIKey, DefaultAPIKey)
	o.Version = or(o.Version, "5.5.13-1")
	o.MaxBody = or(o.MaxBody, 10<<20)
	o.MaxUpload = or(o.MaxUpload, 256<<20)
	o.Journal = or(o.Journal, 4096)
	o.JobTime = or(o.JobTime, time.Second)
	switch {
	case len(o.Cortex) == 0:
		o.Analyzers, o.Responders = nil, nil
	case o.Analyzers == nil && o.Responders == nil:
		o.Analyzers, o.Responders = analyzers, responders
	}
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return o
}

func or[T comparable](v, preset T) T {
	var zero T
	if v == zero {
		return preset
	}
	return v
}

// builtIn are a few patterns of Enterprise ATT&CK 18, enough for the examples of TheHive's guides.
var builtIn = []Pattern{
	{ID: "T1003", Name: "OS Credential Dumping", Tactics: []string{"credential-access"}},
	{ID: "T1003.001", Name: "LSASS Memory", Tactics: []string{"credential-access"}},
	{ID: "T1027", Name: "Obfuscated Files or Information", Tactics: []string{"defense-evasion"}},
	{ID: "T1053.005", Name: "Scheduled Task", Tactics: []string{"execution", "persistence", "privilege-escalation"}},
	{ID: "T1055", Name: "Process Injection", Tactics: []string{"defense-evasion", "privilege-escalation"}},
	{ID: "T1059", Name: "Command and Scripting Interpreter", Tactics: []string{"execution"}},
	{ID: "T1059.001", Name: "PowerShell", Tactics: []string{"execution"}},
	{ID: "T1059.003", Name: "Windows Command Shell", Tactics: []string{"execution"}},
	{ID: "T1059.006", Name: "Python", Tactics: []string{"execution"}},
	{ID: "T1059.007", Name: "JavaScript", Tactics: []string{"execution"}},
	{ID: "T1071", Name: "Application Layer Protocol", Tactics: []string{"command-and-control"}},
	{ID: "T1071.001", Name: "Web Protocols", Tactics: []string{"command-and-control"}},
	{ID: "T1078", Name: "Valid Accounts", Tactics: []string{"defense-evasion", "persistence", "privilege-escalation", "initial-access"}},
	{ID: "T1105", Name: "Ingress Tool Transfer", Tactics: []string{"command-and-control"}},
	{ID: "T1110", Name: "Brute Force", Tactics: []string{"credential-access"}},
	{ID: "T1190", Name: "Exploit Public-Facing Application", Tactics: []string{"initial-access"}},
	{ID: "T1486", Name: "Data Encrypted for Impact", Tactics: []string{"impact"}},
	{ID: "T1547.001", Name: "Registry Run Keys / Startup Folder", Tactics: []string{"persistence", "privilege-escalation"}},
	{ID: "T1562.001", Name: "Disable or Modify Tools", Tactics: []string{"defense-evasion"}},
	{ID: "T1566", Name: "Phishing", Tactics: []string{"initial-access"}},
	{ID: "T1566.001", Name: "Spearphishing Attachment", Tactics: []string{"initial-access"}},
	{ID: "T1566.002", Name: "Spearphishing Link", Tactics: []string{"initial-access"}},
	{ID: "T1589.003", Name: "Employee Names", Tactics: []string{"reconnaissance"}},
}

// control answers the simulator's own endpoints: they never misbehave, and are in no journal.
func (h *Hive) control(w http.ResponseWriter, r *http.Request) {
	switch r.Method + " " + r.URL.Path {
	case "GET /_sim/stats":
		h.showStats(w, r)
	case "POST /_sim/reset":
		h.Reset()
		w.WriteHeader(http.StatusNoContent)
	case "GET /_sim/misbehave":
		answer(w, http.StatusOK, h.Misbehaviour())
	case "POST /_sim/misbehave":
		h.misbehave(w, r)
	default:
		answer(w, http.StatusNotFound, &problem{Type: "NotFoundError", Text: r.URL.Path})
	}
}

func (h *Hive) showStats(w http.ResponseWriter, r *http.Request) {
	var window time.Duration
	if v := r.URL.Query().Get("window"); v != "" {
		d, err := time.ParseDuration(v)
		if err != nil || d < 0 {
			answer(w, http.StatusBadRequest, &problem{Type: "BadRequest", Text: "window: a duration such as 24h is expected"})
			return
		}
		window = d
		if d == 0 {
			window = -1
		}
	}
	answer(w, http.StatusOK, h.Stats(window))
}

// misbehave replaces the misbehaviour by the one in the body; what the body does not name is as good as new.
func (h *Hive) misbehave(w http.ResponseWriter, r *http.Request) {
	raw, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 1<<20))
	var m Misbehaviour
	if err == nil && len(raw) > 0 {
		err = strictly(raw, &m)
	}
	if err != nil {
		answer(w, http.StatusBadRequest, &problem{Type: "BadRequest", Text: err.Error()})
		return
	}
	h.fault.Store(&m) // an outage set here leaves the port open, or it could not be ended here
	answer(w, http.StatusOK, m)
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(append(toJSON(v), '\n'))
}

var errReport = errors.New("conformance report: version and quirks are expected")

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

// loud makes a panic of f end the process at once: the group that f runs in would keep it until somebody
// waits, and a simulator that stopped answering would look like a slow one.
func loud(f func()) func() {
	return func() {
		var caught panics.Catcher
		caught.Try(f)
		if r := caught.Recovered(); r != nil {
			time.AfterFunc(0, func() { panic(r.AsError()) }) // on a goroutine of its own: nothing recovers it
		}
	}
}
