package hivetest

import (
	"cmp"
	"net/http"
	"slices"
)

var timelineRoutes = []route{
	{method: "GET", template: "/api/v1/case/{id}/timeline", run: needs(caseKind, timeline)},
}

// event is one line of a case's timeline.
type event struct {
	Date     int64          `json:"date"`
	Kind     string         `json:"kind"`
	Entity   string         `json:"entity"`
	EntityID string         `json:"entityId"`
	Details  map[string]any `json:"details"`
	EndDate  int64          `json:"endDate,omitempty"`
}

// timeline lists what happened in a case; that it began is the first of it.
func timeline(_ *call, e *entry) (reply, error) {
	begun := event{e.doc.num("startDate"), "Case", "Case", e.id, map[string]any{"case": rendered{e.doc}}, 0}
	events := []event{begun}
	add := func(k *kind, of func(*doc) event) {
		for child := range e.children(k).each {
			ev := of(child.doc)
			ev.Kind, ev.Entity, ev.EntityID = k.name, k.name, child.id
			if ev.Date != 0 {
				events = append(events, ev)
			}
		}
	}
	add(eventKind, func(d *doc) event {
		return event{Date: d.num("date"), EndDate: d.num("endDate"), Details: map[string]any{"customEvent": rendered{d}}}
	})
	add(procedureKind, func(d *doc) event {
		return event{Date: d.num("occurDate"), Details: map[string]any{"procedure": rendered{d}}}
	})
	add(taskKind, func(d *doc) event {
		return event{Date: d.num("startDate"), EndDate: d.num("endDate"), Details: map[string]any{"task": rendered{d}}}
	})
	slices.SortStableFunc(events, func(a, b event) int { return cmp.Compare(a.Date, b.Date) })
	return reply{status: http.StatusOK, value: map[string]any{"events": events}}, nil
}
