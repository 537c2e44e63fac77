package connector

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"

	"forager/hive"
)

// MISPStatus is how TheHive gets on with its MISP servers.
type MISPStatus struct {
	// Status is TheHive's word on each server, as JSON.
	Status json.RawMessage `json:"status"`
	// Syncing says that events are being brought.
	Syncing bool `json:"syncInProgress"`
}

// MISPStatus asks for it (GET /api/v1/connector/misp/status).
func (c *Connector) MISPStatus(ctx context.Context) (MISPStatus, error) {
	return read(ctx, c, "get MISP status", "/connector/misp/status", func(s *MISPStatus) string { return string(s.Status) })
}

// SyncMISP lets TheHive bring events from its servers as alerts
// (GET /api/v1/connector/misp/_syncAlerts). Though it is a GET, it acts: it is not
// sent again where it may have begun.
func (c *Connector) SyncMISP(ctx context.Context) error {
	return c.client.Exchange(ctx, hive.Exchange{Op: "sync MISP", Method: http.MethodGet, Path: "/connector/misp/_syncAlerts", Acts: true})
}

// ExportToMISP sends a case, by id, to a server that TheHive's configuration names
// (POST /api/v1/connector/misp/export/{caseId}/{mispName}); 404 where it names none.
func (c *Connector) ExportToMISP(ctx context.Context, caseID, server string) error {
	const op = "export to MISP"
	if err := needed(op, "case", caseID, "server", server); err != nil {
		return err
	}
	return c.client.Exchange(ctx, hive.Exchange{Op: op, Method: http.MethodPost,
		Path: "/connector/misp/export/" + url.PathEscape(caseID) + "/" + url.PathEscape(server)})
}

// MISPImport says what of a case is to be other than its event has it.
type MISPImport struct {
	// CaseTemplate and Assignee are names; empty: none.
	CaseTemplate string `json:"caseTemplate,omitempty"`
	Assignee     string `json:"assignee,omitempty"`
	// Tasks, Pages and Sharing are as in [hive.NewCase].
	Tasks   []hive.NewTask  `json:"tasks,omitempty"`
	Pages   []hive.NewPage  `json:"pages,omitempty"`
	Sharing []hive.NewShare `json:"sharingParameters,omitempty"`
}

// ImportFromMISP makes a case of an event that MISP exported as JSON
// (multipart POST /api/v1/connector/misp/case/import); what is no such event is
// refused with 400. Every call makes another case.
func (c *Connector) ImportFromMISP(ctx context.Context, event hive.Upload, n MISPImport) (hive.Case, error) {
	const op = "import from MISP"
	var out hive.Case
	if err := (hive.NewCase{Title: "of the event", CaseTemplate: n.CaseTemplate, Assignee: n.Assignee, Tasks: n.Tasks, Pages: n.Pages, Sharing: n.Sharing}).Check(op); err != nil {
		return out, err
	}
	err := c.client.Exchange(ctx, hive.Exchange{Op: op, Method: http.MethodPost, Path: "/connector/misp/case/import",
		Body: n, File: &event, Part: "file", Into: &out, Proof: func() string { return out.ID }})
	return out, err
}
