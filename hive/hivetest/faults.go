package hivetest

import (
	"encoding/json"
	"net/http"
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
