package hivetest

import (
	"encoding/json"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"
)

// Misbehaviour is how the server strays from a good one. Probabilities are from 0 to 1, and thrown for each call. In
// JSON a duration is a string ("20ms") or a number of nanoseconds. The zero value behaves.
type Misbehaviour struct {
	Latency time.Duration `json:"latency"` // every call takes so long before its effect
	Jitter  time.Duration `json:"jitter"`  // and up to so much longer

	Refuse       float64 `json:"refuse"`       // 503 before any effect
	RefuseWrites float64 `json:"refuseWrites"` // the same for writes alone
	BadGateway   float64 `json:"badGateway"`   // 502 with a proxy's page, before any effect
	Fail         float64 `json:"fail"`         // 500 with TheHive's own error body: rolled back, no effect
	Reset        float64 `json:"reset"`        // the connection is reset before any effect

	Error        float64 `json:"error"`        // TheHive's own error body, as the four below say
	ErrorStatus  int     `json:"errorStatus"`  // 0: 500
	ErrorType    string  `json:"errorType"`    // name of the error or of a Java class; empty: java.lang.NullPointerException
	ErrorMessage string  `json:"errorMessage"` // empty: null, as of an exception that has none
	ErrorAfter   bool    `json:"errorAfter"`   // instead of the answer to a write that is committed; else before any effect

	Throttle      float64       `json:"throttle"`      // 429 for every call beyond so many a second; 0: no limit
	ThrottleShare float64       `json:"throttleShare"` // 429 with this probability
	RetryAfter    time.Duration `json:"retryAfter"`    // what the 429 asks for, in whole seconds; 0: 1 s

	Ambiguous   float64       `json:"ambiguous"`   // the answer to a write is lost after the commit
	AmbiguousBy int           `json:"ambiguousBy"` // how: 0 the connection is cut, else this status (500, 502, 504) from a proxy
	LateCommit  float64       `json:"lateCommit"`  // a write commits only after its client has gone
	LateAfter   time.Duration `json:"lateAfter"`   // … or after this time, whether the client waits or not

	Wrong float64 `json:"wrong"` // the answer to a write says something else than what was done, in any of the ways of [Wrong]

	Truncate float64       `json:"truncate"` // the answer ends in the middle of its body
	SlowBody time.Duration `json:"slowBody"` // the answer's body takes so long to arrive

	Lag         time.Duration `json:"lag"`         // found by id at once, by query only later
	LagChildren bool          `json:"lagChildren"` // the lag counts for the lists of one case or alert too
	Unordered   bool          `json:"unordered"`   // a list that was not sorted comes in any order
	ImportLag   time.Duration `json:"importLag"`   // an alert's observables and procedures come into its case so much after the answer

	ExpiredKey bool `json:"expiredKey"` // every key, password and session is refused: 401
	Outage     bool `json:"outage"`     // connections are refused (set over HTTP: cut), and cut where they were open
}

// fate is what the dice decided for one call.
type fate struct {
	delay    time.Duration
	refused  *problem
	page     int  // status of a proxy's page instead of an answer, before the effect
	failed   bool // TheHive's own error, before the effect
	fails    bool // … or after it
	reset    bool
	late     bool
	lost     bool
	wrong    Wrong
	truncate bool
}

func (h *Hive) fate(m *Misbehaviour, write bool) fate {
	f := fate{delay: m.Latency + h.dice.below(m.Jitter)}
	switch {
	case !h.gate.allow(m.Throttle), h.dice.roll(m.ThrottleShare):
		f.refused = throttled(m.RetryAfter)
	case h.dice.roll(m.Refuse), write && h.dice.roll(m.RefuseWrites):
		f.refused = &problem{status: http.StatusServiceUnavailable, Type: "Unavailable", Text: "The server is overloaded or down for maintenance"}
	case h.dice.roll(m.BadGateway):
		f.page = http.StatusBadGateway
	case h.dice.roll(m.Fail):
		f.refused = &problem{status: http.StatusInternalServerError, Type: "org.janusgraph.diskstorage.locking.PermanentLockingException", Text: "Local lock contention"}
	case h.dice.roll(m.Reset):
		f.reset = true
	}
	if h.dice.roll(m.Error) {
		f.failed, f.fails = !m.ErrorAfter, m.ErrorAfter && write
	}
	f.late = write && h.dice.roll(m.LateCommit)
	f.lost = write && h.dice.roll(m.Ambiguous)
	if write && h.dice.roll(m.Wrong) {
		f.wrong = Nameless + Wrong(h.dice.below(time.Duration(Fewer)))
	}
	f.truncate = h.dice.roll(m.Truncate)
	return f
}

// ownError is the error body that the simulator was told to answer.
func (m *Misbehaviour) ownError() reply {
	body := struct {
		Type    string  `json:"type"`
		Message *string `json:"message"`
	}{Type: or(m.ErrorType, "java.lang.NullPointerException")}
	if m.ErrorMessage != "" {
		body.Message = &m.ErrorMessage
	}
	return reply{status: or(m.ErrorStatus, http.StatusInternalServerError), value: body}
}

func throttled(after time.Duration) *problem {
	seconds := int64(max(1, (after+time.Second-1)/time.Second))
	return &problem{
		status: http.StatusTooManyRequests, Type: "TooManyRequests", Text: "Too many requests",
		header: http.Header{"Retry-After": {strconv.FormatInt(seconds, 10)}},
	}
}

// throttle is a bucket of calls that fills at the allowed rate and holds a tenth of a second's worth, at least one.
type throttle struct {
	mu   sync.Mutex
	left float64
	at   time.Time
}

func (t *throttle) allow(perSecond float64) bool {
	if perSecond <= 0 {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	now, room := time.Now(), max(1, perSecond/10)
	if t.at.IsZero() {
		t.left = room
	}
	t.left = min(room, t.left+now.Sub(t.at).Seconds()*perSecond)
	t.at = now
	if t.left < 1 {
		return false
	}
	t.left--
	return true
}

// UnmarshalJSON reads a misbehaviour and refuses names that it does not know; what is absent keeps its value.
func (m *Misbehaviour) UnmarshalJSON(b []byte) error {
	type bare Misbehaviour
	var in map[string]json.RawMessage
	if err := json.Unmarshal(b, &in); err != nil {
		return err
	}
	for name, raw := range in {
		var s string
		if json.Unmarshal(raw, &s) != nil {
			continue
		}
		d, err := time.ParseDuration(s)
		if err != nil {
			return err
		}
		in[name] = strconv.AppendInt(nil, int64(d), 10)
	}
	plain, err := json.Marshal(in)
	if err != nil {
		return err
	}
	return strictly(plain, (*bare)(m))
}

// Stage is a moment in the life of a call.
type Stage int

// The two moments at which a hook may hold a call.
const (
	BeforeEffect Stage = iota // the request was read, nothing has happened yet
	AfterEffect               // the effect is committed, the client does not know yet
)

// Action is what becomes of a call after a hook; the zero value lets it go on.
type Action struct {
	Status  int    // not 0: answer this status instead; before the effect, there is then no effect
	Type    string // of the error body; empty: "GenericError"
	Message string
	Cut     bool  // cut the connection instead of answering
	Wrong   Wrong // after the effect: answer something else than what was done
}

type hook struct {
	id    int
	stage Stage
	route string
	call  func(Call) Action
}

// hooks are those that stand; the slice is replaced, never changed.
type hooks struct {
	mu   sync.RWMutex
	last int
	all  []hook
}

// On calls f at a stage of every call to a route ("POST /api/v1/case"; empty: every route). f may block, and so choose
// the interleaving; calls wait independently and no lock is held. The returned function takes the hook away again.
func (h *Hive) On(stage Stage, route string, f func(Call) Action) (remove func()) {
	h.hooks.mu.Lock()
	defer h.hooks.mu.Unlock()
	h.hooks.last++
	id := h.hooks.last
	h.hooks.all = append(slices.Clone(h.hooks.all), hook{id, stage, route, f})
	return func() {
		h.hooks.mu.Lock()
		defer h.hooks.mu.Unlock()
		h.hooks.all = slices.DeleteFunc(slices.Clone(h.hooks.all), func(k hook) bool { return k.id == id })
	}
}

// Before calls f before the effect of every call; f may block.
func (h *Hive) Before(f func(Call)) (remove func()) {
	return h.On(BeforeEffect, "", func(c Call) Action { f(c); return Action{} })
}

// After calls f after the effect of every call and before its answer; f may block.
func (h *Hive) After(f func(Call)) (remove func()) {
	return h.On(AfterEffect, "", func(c Call) Action { f(c); return Action{} })
}

// run calls the hooks of a stage in the order they were added and returns the first action that is not zero.
func (k *hooks) run(stage Stage, c Call) Action {
	k.mu.RLock()
	all := k.all
	k.mu.RUnlock()
	var first Action
	for _, one := range all {
		if one.stage != stage || one.route != "" && one.route != c.Route {
			continue
		}
		if a := one.call(c); first == (Action{}) {
			first = a
		}
	}
	return first
}

// Wrong is how an answer says something else than what the call did, which stands.
type Wrong int

// The wrong answers, for [Action] after the effect.
const (
	Nameless Wrong = 1 + iota // a 207 does not say which values it refused
	Other                     // what the answer names has other values than were sent
	Fewer                     // the answer lists one object fewer than were stored
)

// SaysExists is the action by which TheHive refuses something as a double, whether it is there or not.
func SaysExists() Action {
	return Action{Status: http.StatusBadRequest, Type: "CreateError", Message: "Observable already exists"}
}

// wrongly rewrites an answer; one that has nothing to be wrong in stays.
func (o *reply) wrongly(how Wrong, v viewer) reply {
	var body any
	if o.status >= http.StatusMultipleChoices || json.Unmarshal(o.bytes(v), &body) != nil {
		return *o
	}
	switch how {
	case Nameless:
		parts, _ := body.(map[string]any)
		eachObject(parts["failure"], func(m map[string]any) { delete(m, "object") })
	case Other:
		eachObject(created(body), otherValues)
	case Fewer:
		body = fewer(body)
	}
	return reply{status: o.status, header: o.header, raw: toJSON(body)}
}

// created is the part of an answer that holds what was made.
func created(body any) any {
	if parts, ok := body.(map[string]any); ok && parts["success"] != nil {
		return parts["success"]
	}
	return body
}

// eachObject calls f for an object, or for each of a list.
func eachObject(v any, f func(map[string]any)) {
	switch v := v.(type) {
	case map[string]any:
		f(v)
	case []any:
		for _, e := range v {
			if m, ok := e.(map[string]any); ok {
				f(m)
			}
		}
	}
}

// otherValues makes an entity another one of the same id.
func otherValues(m map[string]any) {
	for name, value := range map[string]any{"data": "other", "patternId": "T0000", "message": "other", "customFields": []any{}} {
		if m[name] != nil {
			m[name] = value
		}
	}
}

func fewer(body any) any {
	switch v := body.(type) {
	case []any:
		return v[:max(len(v)-1, 0)]
	case map[string]any:
		if list, ok := v["success"].([]any); ok {
			v["success"] = list[:max(len(list)-1, 0)]
		}
	}
	return body
}

// Call is one request to the server, as the journal and the hooks see it.
type Call struct {
	Seq          int64     // in the order of arrival, from 1
	At           time.Time // arrival, by the machine's clock
	Route        string    // "POST /api/v1/case/{id}/observable"; empty: no such endpoint
	Method       string
	Path         string // as sent, without the query
	Query        string
	Organisation string // the organisation that the call acts in; empty before it is known
	User         string // login; empty before it is known
	Body         []byte // at most 64 KiB of it; do not change
	Status       int    // of the answer; 0: not answered yet, or cut
}

const (
	keptBody   = 64 << 10
	keptBodies = 32 << 20
)

// journal remembers the newest calls, and counts all.
type journal struct {
	mu     sync.Mutex
	limit  int
	seq    int64
	calls  []Call // a ring once it is full
	oldest int
	bytes  int
	counts map[string]int
	total  int
}

func (j *journal) reset() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.calls, j.oldest, j.bytes, j.counts, j.total = nil, 0, 0, map[string]int{}, 0
}

func (j *journal) number() int64 {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seq++
	return j.seq
}

func (j *journal) add(c Call) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.total++
	j.counts[or(c.Route, c.Method+" ?")]++
	if len(j.calls) < j.limit {
		j.calls = append(j.calls, c)
	} else {
		j.bytes -= len(j.calls[j.oldest].Body)
		j.calls[j.oldest] = c
		j.oldest = (j.oldest + 1) % j.limit
	}
	j.bytes += len(c.Body)
	for i := 0; j.bytes > keptBodies && i < len(j.calls); i++ {
		old := &j.calls[(j.oldest+i)%len(j.calls)]
		j.bytes -= len(old.Body)
		old.Body = nil
	}
}

// Calls returns the newest calls (Options.Journal of them) in the order of their answers.
func (h *Hive) Calls() []Call {
	j := &h.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	return append(slices.Clone(j.calls[j.oldest:]), j.calls[:j.oldest]...)
}

func (j *journal) tally() (map[string]int, int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return maps.Clone(j.counts), j.total
}
