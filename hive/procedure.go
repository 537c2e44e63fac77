package hive

import (
	"context"
	"iter"
	"net/http"
	"strconv"
)

// Procedure is one use of an ATT&CK technique in a case or alert (OutputProcedure).
type Procedure struct {
	// ID is "~" and digits.
	ID string `json:"_id"`
	// PatternID is the technique, such as "T1566.001", PatternName its name.
	// Both are empty when the pattern was deleted from TheHive.
	PatternID   string `json:"patternId"`
	PatternName string `json:"patternName"`
	// Tactic is the short name, such as "initial-access", and TacticLabel the
	// long one; both empty when none was given and several were possible.
	Tactic      string `json:"tactic"`
	TacticLabel string `json:"tacticLabel"`
	// Description is Markdown.
	Description string `json:"description"`
	// OccurDate is when it happened.
	OccurDate Millis `json:"occurDate"`
	// CreatedAt and CreatedBy never change; UpdatedAt is 0 before the first change.
	CreatedAt Millis `json:"_createdAt"`
	CreatedBy string `json:"_createdBy"`
	UpdatedAt Millis `json:"_updatedAt"`
	UpdatedBy string `json:"_updatedBy"`
}

// procedureID names the identity of a procedure to the decoders.
func procedureID(p *Procedure) string { return p.ID }

// NewProcedure is a procedure to be added (InputProcedure).
type NewProcedure struct {
	// PatternID is the technique's id; TheHive must hold it (else 404).
	PatternID string `json:"patternId"`
	// Tactic is the short name of one of the technique's tactics. Left out,
	// TheHive 5.2.6 and later fill it in when the technique has only one.
	Tactic string `json:"tactic,omitempty"`
	// Description is Markdown, of at most MaxText units.
	Description string `json:"description,omitempty"`
	// OccurDate is when it happened; required.
	OccurDate Millis `json:"occurDate"`
}

// check refuses what TheHive would.
func (p NewProcedure) check(op, at string) error {
	if p.OccurDate <= 0 {
		return invalid(op, at+"occurDate", "is missing")
	}
	if !patternShape.MatchString(p.PatternID) {
		return invalid(op, at+"patternId", "is no technique id: "+quote(p.PatternID))
	}
	return checkTexts(op, rule{at + "patternId", p.PatternID, 1, MaxLogin},
		rule{at + "tactic", p.Tactic, 0, MaxTactic}, rule{at + "description", p.Description, 0, MaxText})
}

// AddProcedure adds one procedure to a case by id or number
// (POST /api/v1/case/{caseId}/procedure). TheHive does not recognise doubles:
// every call makes another one.
func (c *Client) AddProcedure(ctx context.Context, caseID string, p NewProcedure) (Procedure, error) {
	const op = "add procedure"
	if err := checkCase(op, caseID); err != nil {
		return Procedure{}, err
	}
	return c.addProcedure(ctx, op, "/case/"+caseID, p)
}

// AddAlertProcedure is AddProcedure for an alert, by id
// (POST /api/v1/alert/{alertId}/procedure).
func (c *Client) AddAlertProcedure(ctx context.Context, alertID string, p NewProcedure) (Procedure, error) {
	const op = "add alert procedure"
	if err := checkID(op, "alert", alertID); err != nil {
		return Procedure{}, err
	}
	return c.addProcedure(ctx, op, "/alert/"+alertID, p)
}

// addProcedure adds one to what a path names.
func (c *Client) addProcedure(ctx context.Context, op, owner string, p NewProcedure) (Procedure, error) {
	if err := p.check(op, ""); err != nil {
		return Procedure{}, err
	}
	return create(ctx, c, op, owner+"/procedure", p, procedureID)
}

// AddProcedures adds several at once (POST /api/v1/case/{caseId}/procedures)
// and returns them in TheHive's order. Whether a refusal of one undoes the
// others is not documented: after any error, list before adding again. An
// answer with fewer procedures than were sent is an ambiguous error.
func (c *Client) AddProcedures(ctx context.Context, caseID string, p []NewProcedure) ([]Procedure, error) {
	const op = "add procedures"
	if err := checkCase(op, caseID); err != nil {
		return nil, err
	}
	return c.addProcedures(ctx, op, "/case/"+caseID, p)
}

// AddAlertProcedures is AddProcedures for an alert, by id
// (POST /api/v1/alert/{alertId}/procedures).
func (c *Client) AddAlertProcedures(ctx context.Context, alertID string, p []NewProcedure) ([]Procedure, error) {
	const op = "add alert procedures"
	if err := checkID(op, "alert", alertID); err != nil {
		return nil, err
	}
	return c.addProcedures(ctx, op, "/alert/"+alertID, p)
}

// addProcedures adds several to what a path names.
func (c *Client) addProcedures(ctx context.Context, op, owner string, p []NewProcedure) ([]Procedure, error) {
	if len(p) == 0 {
		return nil, invalid(op, "procedures", "is empty")
	}
	for i, n := range p {
		if err := n.check(op, "procedures["+strconv.Itoa(i)+"]."); err != nil {
			return nil, err
		}
	}
	var out []Procedure
	err := c.do(ctx, call{
		op: op, method: http.MethodPost, path: owner + "/procedures",
		body: map[string]any{"procedures": p}, write: true, accept: exactlyEntities(&out, procedureID, len(p)),
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// CaseProcedures lists the procedures of a case by id or number, oldest first;
// of a case that does not exist it lists none (getCase, procedures).
func (c *Client) CaseProcedures(ctx context.Context, caseID string) iter.Seq2[Procedure, error] {
	return parts(ctx, c, "list procedures", caseID, "procedures", procedureID)
}

// AlertProcedures lists the procedures of an alert, by id, oldest first
// (getAlert, procedures).
func (c *Client) AlertProcedures(ctx context.Context, alertID string) iter.Seq2[Procedure, error] {
	return alertParts(ctx, c, "list alert procedures", alertID, "procedures", procedureID)
}

// Procedures lists procedures of all cases (listProcedure).
func (c *Client) Procedures(ctx context.Context, q Query) iter.Seq2[Procedure, error] {
	return list(ctx, c, listOf("find procedures", "listProcedure"), q, procedureID)
}

// ProcedureUpdate is a change of a procedure; what is nil stays as it is.
type ProcedureUpdate struct {
	// PatternID, Tactic and Description are as in [NewProcedure].
	PatternID, Tactic, Description *string
	// OccurDate is when it happened.
	OccurDate *Millis
}

// UpdateProcedure changes what u names (PATCH /api/v1/procedure/{id}).
func (c *Client) UpdateProcedure(ctx context.Context, id string, u ProcedureUpdate) error {
	const op = "update procedure"
	if err := checkID(op, "procedure", id); err != nil {
		return err
	}
	if err := checkTexts(op, optionalText("patternId", u.PatternID, 1, MaxLogin),
		optionalText("tactic", u.Tactic, 1, MaxTactic), optionalText("description", u.Description, 0, MaxText)); err != nil {
		return err
	}
	if err := checkDates(op, value(u.OccurDate)); err != nil {
		return err
	}
	body := map[string]any{}
	put(body, "patternId", u.PatternID)
	put(body, "tactic", u.Tactic)
	put(body, "description", u.Description)
	put(body, "occurDate", u.OccurDate)
	if err := notEmpty(op, body); err != nil {
		return err
	}
	return c.do(ctx, call{op: op, method: http.MethodPatch, path: "/procedure/" + id, body: body, write: true, accept: nothing})
}

// DeleteProcedure deletes one procedure (DELETE /api/v1/procedure/{id}).
func (c *Client) DeleteProcedure(ctx context.Context, id string) error {
	const op = "delete procedure"
	if err := checkID(op, "procedure", id); err != nil {
		return err
	}
	return c.delete(ctx, op, "/procedure/"+id)
}

// DeleteProcedures deletes several (POST /api/v1/procedure/delete/_bulk).
func (c *Client) DeleteProcedures(ctx context.Context, ids ...string) error {
	const op = "delete procedures"
	if err := checkIDs(op, ids); err != nil {
		return err
	}
	return c.do(ctx, call{
		op: op, method: http.MethodPost, path: "/procedure/delete/_bulk",
		body: map[string]any{"ids": distinct(ids)}, write: true, accept: nothing,
	})
}
