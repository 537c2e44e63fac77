package feedback

import (
	"crypto/sha256"
	"encoding/hex"
	"strconv"

	"forager/enrich/apply"
	"forager/hive"
)

// State is what a case is to its sources. The zero state is open, and nothing to tell of.
type State struct {
	Closed bool   `json:"closed,omitempty"`
	Status string `json:"status,omitempty"` // the verdict of a closed case, or what an analyst set; TheHive's word
}

// stateOf is what a case is. Of an open one the status counts where every status does.
func stateOf(c hive.Case, statuses bool) State {
	switch {
	case c.Closed():
		return State{Closed: true, Status: c.Status}
	case statuses && c.Stage != hive.StageNew:
		return State{Status: c.Status}
	default:
		return State{}
	}
}

// record is what the entry feedback.<case> remembers.
type record struct {
	State

	Turn   int      `json:"turn"`             // how many states were told, this one among them
	Upto   int      `json:"upto"`             // how many of the alerts are told of it, or being told
	Done   int      `json:"done"`             // to how many of them it was told for certain
	Sum    string   `json:"sum,omitempty"`    // of the first Done alerts: should they be others, all are told again, under the same ids
	From   []string `json:"from,omitempty"`   // cases that became part of this one
	Event  Event    `json:"event,omitempty"`  // what became of the case with this turn
	Number int      `json:"number,omitempty"` // of the case
	Told   About    `json:"told"`             // as it was when the state was seen
}

// About is what a message says of the case beside its state.
type About struct {
	Title   string `json:"title"`
	Summary string `json:"summary,omitempty"`
	Impact  string `json:"impact,omitempty"`
	At      int64  `json:"at,omitempty"` // when it was closed, or changed, ms
}

// next is the record with another state, of which so many alerts are told; false where there is nothing new to tell.
func (r record) next(now State, alerts, number int, about About) (record, bool) {
	if now == r.State {
		return r, false
	}
	n := r
	n.State, n.Number, n.Told, n.Event = now, number, about, eventOf(r.State, now)
	n.Turn, n.Upto, n.Done, n.Sum = r.Turn+1, alerts, 0, ""
	return n, true
}

// grown is the record with the alerts that joined since; false where there are none that are told of its state: those
// that join an open case without a status of its own were told nothing before, and there is nothing to tell.
func (r record) grown(alerts int) (record, bool) {
	if r.State == (State{}) || alerts <= r.Upto {
		return r, false
	}
	r.Upto = alerts
	return r, true
}

// eventOf says what became of a case.
func eventOf(before, now State) Event {
	switch {
	case now.Closed:
		return EventClosed
	case before.Closed:
		return EventReopened
	default:
		return EventStatus
	}
}

// due are the alerts that are still to be told of the record's state, and where they begin.
func (r record) due(alerts []apply.SourceAlert) (from int, due []apply.SourceAlert) {
	from, end := r.Done, min(r.Upto, len(alerts))
	if from > end || sumOf(alerts[:from]) != r.Sum {
		from = 0 // the list is another than it was: the ledger lost it, or cases were merged
	}
	return from, alerts[from:end]
}

// told is the record with so many alerts told.
func (r record) told(alerts []apply.SourceAlert, n int) record {
	r.Done, r.Sum = n, sumOf(alerts[:n])
	return r
}

// sumOf tells lists of alerts apart; of none it is empty.
func sumOf(alerts []apply.SourceAlert) string {
	if len(alerts) == 0 {
		return ""
	}
	h := sha256.New()
	for _, a := range alerts {
		h.Write([]byte(strconv.Quote(a.Source) + strconv.Quote(a.ID)))
	}
	return hex.EncodeToString(h.Sum(nil)[:8])
}
