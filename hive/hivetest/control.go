package hivetest

import (
	"io"
	"net/http"
	"time"
)

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
