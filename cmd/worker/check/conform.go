package check

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"forager/cmd/worker/service"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/terminal"
	"forager/config"
	"forager/hive"
)

// ConformWithin bounds all questions together; what was opened for them is removed beyond it.
const ConformWithin = 9 * time.Minute

const (
	answerWithin = 20 * time.Second // one answer, also of fifty at a time
	clearWithin  = 45 * time.Second
)

// Conformance is what a TheHive does where nobody knows it for sure. As JSON it is what "worker simulate --as" takes.
type Conformance struct {
	Version   string         `json:"version"`
	Quirks    map[string]any `json:"quirks"` // by the simulator's names: what was seen, as expected or not
	Questions []Question     `json:"questions"`
}

// Question is one that was asked, or why it was not.
type Question struct {
	Number   int    `json:"number"` // as in the list of what is unknown; several may have one
	Ask      string `json:"question"`
	Expected string `json:"expected"`
	Got      string `json:"got"`
	Means    string `json:"means"` // what it means where it differs, and for which promise
	State    State  `json:"state"`
}

// State is what became of a question.
type State string

// The states of a question.
const (
	AsExpected State = "as expected"
	Differs    State = "differs"
	NotAsked   State = "not asked" // the account may not, or time ran out
	ByHand     State = "by hand"   // it cannot be asked from here: Got says what a person can do
)

// asker sends requests as one account, and looks at what comes back without believing anything of it.
type asker struct {
	client       *http.Client
	base         string
	organisation string
	sign         func(r *http.Request)
}

// said is an answer.
type said struct {
	status     int // 0: none
	kind, text string
	value      any
}

// String is an answer in a few words.
func (s said) String() string {
	if s.kind == "" {
		return strconv.Itoa(s.status)
	}
	return fmt.Sprintf("%d %s: %s", s.status, s.kind, s.text)
}

// at walks into the answer's JSON.
func (s said) at(path ...any) any {
	v := s.value
	for _, step := range path {
		switch at := step.(type) {
		case string:
			m, _ := v.(map[string]any)
			v = m[at]
		case int:
			list, _ := v.([]any)
			if at >= len(list) {
				return nil
			}
			v = list[at]
		}
	}
	return v
}

// once sends a request a single time.
func (a *asker) once(ctx context.Context, method, path, mime string, body []byte) said {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, a.base+"/api/v1"+path, bytes.NewReader(body))
	if err != nil {
		return said{text: err.Error()}
	}
	if mime != "" {
		r.Header.Set("Content-Type", mime)
	}
	if a.organisation != "" {
		r.Header.Set("X-Organisation", a.organisation)
	}
	a.sign(r)
	resp, err := a.client.Do(r)
	if err != nil {
		return said{kind: "no answer", text: err.Error()}
	}
	defer resp.Body.Close()
	out := said{status: resp.StatusCode}
	raw, err := io.ReadAll(io.LimitReader(resp.Body, 16<<20))
	if err == nil {
		_ = json.Unmarshal(raw, &out.value)
	}
	out.kind, _ = out.at("type").(string)
	out.text, _ = out.at("message").(string)
	if out.status < 400 {
		out.kind, out.text = "", ""
	}
	return out
}

// ask sends JSON, and sends it again where TheHive itself fails: that is another question.
func (a *asker) ask(ctx context.Context, method, path, body string) said {
	for try := 1; ; try++ {
		got := a.once(ctx, method, path, jsonType, []byte(body))
		if got.status < 500 || try == 4 || !pause(ctx, time.Duration(try)*300*time.Millisecond) {
			return got
		}
	}
}

const jsonType = "application/json"

// pause waits; false: told to stop.
func pause(ctx context.Context, d time.Duration) bool {
	select {
	case <-ctx.Done():
		return false
	case <-time.After(d):
		return true
	}
}

// conformance is the asking.
type conformance struct {
	me, other *asker // other: a second account of the organisation; nil: there is none
	out       *Conformance
	release   [3]int
	user      hive.User
	tag       string
	lag       time.Duration // of searches and lists, as measured

	mu     sync.Mutex
	opened []string // ids of cases
	n      int
}

// Conform asks a TheHive what nobody knows of it, in cases that say so, and removes them, also when ctx ends. otherKey is the API key
// of a second account of the same organisation, for what one account cannot ask; empty: there is none.
func Conform(ctx context.Context, c *config.Config, otherKey string) (Conformance, []string, error) {
	o := service.HiveOptions(c)
	transport, err := hive.NewTransport(o)
	if err != nil {
		return Conformance{}, nil, shell.Misuse(err)
	}
	defer transport.CloseIdleConnections()
	return conform(ctx, o, transport, otherKey)
}

func conform(ctx context.Context, o hive.Options, transport http.RoundTripper, otherKey string) (Conformance, []string, error) {
	o.Transport = transport
	client, err := hive.New(o)
	if err != nil {
		return Conformance{}, nil, shell.Misuse(err)
	}
	status, err := client.Status(ctx)
	if err != nil {
		return Conformance{}, nil, err
	}
	user, err := client.CurrentUser(ctx)
	if err != nil {
		return Conformance{}, nil, err
	}
	as := func(sign func(r *http.Request)) *asker {
		return &asker{&http.Client{Transport: transport}, strings.TrimSuffix(o.URL, "/"), o.Organisation, sign}
	}
	q := &conformance{
		me: as(func(r *http.Request) {
			if o.User != "" {
				r.SetBasicAuth(o.User, o.Password)
				return
			}
			r.Header.Set("Authorization", "Bearer "+o.APIKey)
		}),
		out:     &Conformance{Version: status.Version, Quirks: map[string]any{}},
		release: hiveVersion(status.Version), user: user, tag: "forager:conform-" + strings.ToLower(rand.Text()[:12]),
	}
	if otherKey != "" {
		q.other = as(func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+otherKey) })
	}
	left := q.run(ctx)
	return *q.out, left, nil
}

// run asks everything, and gives what is left in TheHive.
func (q *conformance) run(ctx context.Context) (left []string) {
	asking, done := context.WithTimeout(ctx, ConformWithin)
	defer done()
	for _, ask := range []func(context.Context){
		q.lags, q.tasks, q.restricted, q.deleted, q.parallel, q.procedures, q.doubles, q.merge, q.fields, q.templates, q.reopen, q.strangers, q.wrongType, q.tags, q.texts,
	} {
		if asking.Err() != nil {
			q.note(Question{Ask: "the rest", Got: "there was no time, or it was interrupted", State: NotAsked})
			break
		}
		ask(asking)
	}
	q.byHand()
	clearing, end := context.WithTimeout(context.WithoutCancel(ctx), clearWithin)
	defer end()
	slices.SortStableFunc(q.out.Questions, func(a, b Question) int { return a.Number - b.Number })
	return q.clear(clearing)
}

func (q *conformance) note(one Question) { q.out.Questions = append(q.out.Questions, one) }

// judge notes an answer beside what was expected; more says how it was seen.
func (q *conformance) judge(one Question, more string) {
	one.State = AsExpected
	if one.Got != one.Expected {
		one.State = Differs
	}
	if more != "" {
		one.Got += " (" + more + ")"
	}
	q.note(one)
}

func (q *conformance) skip(one Question, why string) {
	one.Got, one.State = why, NotAsked
	q.note(one)
}

// isSince says whether the server is of a release or newer.
func (q *conformance) isSince(release ...int) bool { return slices.Compare(q.release[:], release) >= 0 }

// open opens a case that says what it is for; more are further properties, ", " before each. Its own tag is the second.
func (q *conformance) open(ctx context.Context, more string) (id, tag string, got said) {
	return q.openAs(ctx, q.me.ask, more)
}

func (q *conformance) openAs(ctx context.Context, ask func(context.Context, string, string, string) said, more string) (id, tag string, got said) {
	q.mu.Lock()
	q.n++
	tag = fmt.Sprintf("%s-%d", q.tag, q.n)
	q.mu.Unlock()
	got = ask(context.WithoutCancel(ctx), http.MethodPost, "/case", `{"title":"Forager asks what TheHive does (may be deleted)","description":"`+
		"`worker check --connect --conform` opened this case and removes it itself. If it is still here an hour later, delete it."+
		`","severity":1,"tags":["`+q.tag+`","`+tag+`"]`+more+`}`)
	id, _ = got.at("_id").(string)
	q.track(id)
	return id, tag, got
}

func (q *conformance) track(id string) {
	if id == "" {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	q.opened = append(q.opened, id)
}

// count counts what a query finds; -1: nobody knows.
func (a *asker) count(ctx context.Context, steps string) int {
	got := a.ask(ctx, http.MethodPost, "/query?name=forager-conform", `{"query":[`+steps+`,{"_name":"count"}]}`)
	n, ok := got.value.(float64)
	if !ok {
		return -1
	}
	return int(n)
}

func byTag(tag string) string {
	return `{"_name":"listCase"},{"_name":"filter","_eq":{"_field":"tags","_value":"` + tag + `"}}`
}

func partOf(id, part string) string {
	return `{"_name":"getCase","idOrName":"` + id + `"},{"_name":"` + part + `"}`
}

// settled counts the parts of a case when what was written must show.
func (q *conformance) settled(ctx context.Context, id, part string) int {
	pause(ctx, 2*q.lag)
	return q.me.count(ctx, partOf(id, part))
}

// clear removes every case of the questions, known ones by id and others by their tag, and says what stays.
func (q *conformance) clear(ctx context.Context) (left []string) {
	pause(ctx, min(2*q.lag, clearWithin/3))
	found := q.me.ask(ctx, http.MethodPost, "/query?name=forager-conform", `{"query":[`+byTag(q.tag)+`]}`)
	cases, _ := found.value.([]any)
	for i := range cases {
		id, _ := found.at(i, "_id").(string)
		q.track(id)
	}
	slices.Sort(q.opened)
	for _, id := range slices.Compact(q.opened) {
		gone := q.me.ask(ctx, http.MethodDelete, "/case/"+id, "")
		if gone.status == http.StatusNoContent || gone.status == http.StatusNotFound ||
			q.me.ask(ctx, http.MethodGet, "/case/"+id, "").status == http.StatusNotFound {
			continue
		}
		q.me.ask(ctx, http.MethodPatch, "/case/"+id, `{"status":"Other"}`)
		left = append(left, id+" ("+gone.String()+")")
	}
	return left
}

// PrintConformance writes the questions for people.
func PrintConformance(to *terminal.Screen, c Conformance, left []string) error {
	to.Blank()
	to.Line(0, terminal.Heading.Of("What TheHive "+c.Version+" does"))
	l := terminal.NewList(2)
	for _, one := range c.Questions {
		meaning := terminal.Warning
		if one.State == AsExpected {
			meaning = terminal.Good
		}
		l.Row(meaning.Of(fmt.Sprintf("%2d %s", one.Number, one.State)), terminal.Plain.Of(one.Ask))
		for _, line := range [][2]string{{"expected: ", one.Expected}, {"got: ", one.Got}, {"means: ", one.Means}} {
			if line[1] != "" && (line[0] != "means: " || one.State != AsExpected) {
				l.Row(terminal.Span{}, terminal.Plain.Of(line[0]+line[1]))
			}
		}
	}
	to.List(l)
	for _, one := range left {
		to.Line(4, terminal.Bad.Of("  left in TheHive"), terminal.Plain.Of(": case "+one+": delete it by hand"))
	}
	return to.Failed()
}
