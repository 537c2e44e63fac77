package hivetest

import "time"

// DefaultWindow is the span within which two cases of one correlation key are duplicates.
const DefaultWindow = 24 * time.Hour

// Stats are the numbers of calls and entities, and how many of the entities are there twice.
type Stats struct {
	Calls       map[string]int `json:"calls"` // by route, "POST /api/v1/case/{id}"; unknown endpoints as "GET ?"
	Total       int            `json:"total"` // of the calls
	Cases       int            `json:"cases"`
	Observables int            `json:"observables"` // of cases and alerts, files too
	Procedures  int            `json:"procedures"`
	Comments    int            `json:"comments"`
	Tasks       int            `json:"tasks"`
	Pages       int            `json:"pages"`
	Attachments int            `json:"attachments"` // of cases and alerts
	Alerts      int            `json:"alerts"`
	Patterns    int            `json:"patterns"`
	Duplicates  Duplicates     `json:"duplicates"`
}

// Duplicates are how many entities another one has made superfluous: n alike count n−1.
type Duplicates struct {
	Cases       int `json:"cases"`       // of one forager: tag, started within the window of an earlier one still open then
	Observables int `json:"observables"` // of one case, type and value
	Procedures  int `json:"procedures"`  // of one case, technique and tactic
	Comments    int `json:"comments"`    // of one case and marker line, or equal text
	Files       int `json:"files"`       // of one case, SHA-256 and name
	Tasks       int `json:"tasks"`       // of one case and title
	Pages       int `json:"pages"`       // of one case and title
}

// Total is the sum of all duplicates.
func (d Duplicates) Total() int {
	return d.Cases + d.Observables + d.Procedures + d.Comments + d.Files + d.Tasks + d.Pages
}

// Stats counts what the server holds. Window is the span within which cases of one tag are duplicates: 0 is
// DefaultWindow, less than 0 is no limit.
func (h *Hive) Stats(window time.Duration) Stats {
	s := Stats{}
	s.Calls, s.Total = h.journal.tally()
	h.mu.RLock()
	defer h.mu.RUnlock()
	count := func(k *kind) int {
		if series := h.store.byKind[k.name]; series != nil {
			return series.live
		}
		return 0
	}
	s.Cases, s.Observables, s.Procedures = count(caseKind), count(observableKind), count(procedureKind)
	s.Comments, s.Tasks, s.Pages = count(commentKind), count(taskKind), count(pageKind)
	s.Attachments, s.Alerts, s.Patterns = count(attachmentKind), count(alertKind), count(patternKind)
	s.Duplicates = h.store.duplicates(or(window, DefaultWindow))
	return s
}
