package hive

import (
	"fmt"
	"reflect"
	"strconv"
	"unicode/utf8"
)

// NewCase is a case to be created (InputCreateCase). Only Title is required
// and Description usual; what is left out is TheHive's default. Observables and
// procedures cannot come with it.
type NewCase struct {
	// Title has 1 to MaxTitle units, Description (Markdown) at most MaxText.
	Title       string `json:"title"`
	Description string `json:"description"`
	// Severity (1 to 4), TLP (0 to 4) and PAP (0 to 3) default to 2.
	Severity *int `json:"severity,omitempty"`
	TLP      *int `json:"tlp,omitempty"`
	PAP      *int `json:"pap,omitempty"`
	// StartDate defaults to TheHive's now. EndDate is for a case of the past.
	StartDate Millis `json:"startDate,omitempty"`
	EndDate   Millis `json:"endDate,omitempty"`
	// Tags have 1 to MaxTag units each; doubles are left out.
	Tags []string `json:"tags,omitempty"`
	// Flag marks the case in lists.
	Flag bool `json:"flag,omitempty"`
	// Status defaults to "New". An unknown one is refused.
	Status string `json:"status,omitempty"`
	// Assignee is a login; TheHive's default is the account itself.
	Assignee string `json:"assignee,omitempty"`
	// Summary is at most MaxText units.
	Summary string `json:"summary,omitempty"`
	// CaseTemplate is the name or id of a template; an unknown one is refused.
	CaseTemplate string `json:"caseTemplate,omitempty"`
	// CustomFields must exist in TheHive.
	CustomFields []CustomField `json:"customFields,omitempty"`
	// Tasks replace those of the template; nil keeps those, an empty list
	// means none.
	Tasks []NewTask `json:"tasks,omitzero"`
	// Pages are the case's pages.
	Pages []NewPage `json:"pages,omitempty"`
}

// check refuses what TheHive would.
func (n NewCase) check(op string) error {
	if err := checkTexts(op,
		rule{"title", n.Title, 1, MaxTitle}, rule{"description", n.Description, 0, MaxText},
		rule{"status", n.Status, 0, MaxName}, rule{"assignee", n.Assignee, 0, MaxLogin},
		rule{"summary", n.Summary, 0, MaxText}, rule{"caseTemplate", n.CaseTemplate, 0, MaxLogin},
	); err != nil {
		return err
	}
	if err := checkLevels(op, n.Severity, n.TLP, n.PAP); err != nil {
		return err
	}
	if err := checkDates(op, n.StartDate, n.EndDate); err != nil {
		return err
	}
	if err := checkTags(op, "tags", n.Tags); err != nil {
		return err
	}
	for i, t := range n.Tasks {
		if err := t.check(op, "tasks["+strconv.Itoa(i)+"]."); err != nil {
			return err
		}
	}
	for i, p := range n.Pages {
		if err := p.check(op, "pages["+strconv.Itoa(i)+"]."); err != nil {
			return err
		}
	}
	return checkFields(op, n.CustomFields)
}

// Clearable is a field of a case that can be emptied.
type Clearable string

// Fields that a [CaseUpdate] can clear (null in OpenAPI 5.5.13).
const (
	// ClearSummary empties the summary.
	ClearSummary Clearable = "summary"
	// ClearAssignee leaves the case to nobody.
	ClearAssignee Clearable = "assignee"
	// ClearImpactStatus empties the impact status.
	ClearImpactStatus Clearable = "impactStatus"
	// ClearEndDate empties the end date.
	ClearEndDate Clearable = "endDate"
)

// CaseUpdate is a change of one or more cases (InputUpdateCase). What is nil
// or empty stays as it is; at least one thing must change. There is no field
// that replaces all tags: the last of two writers would undo the first.
type CaseUpdate struct {
	// Title has 1 to MaxTitle units; Description and Summary at most MaxText.
	Title, Description, Summary *string
	// Severity is 1 to 4, TLP 0 to 4, PAP 0 to 3.
	Severity, TLP, PAP *int
	// Status moves the case to the stage that it belongs to; a status of the
	// stage Closed sets EndDate too.
	Status *string
	// ImpactStatus is "NotApplicable", "WithImpact" or "NoImpact".
	ImpactStatus *string
	// Assignee is a login.
	Assignee *string
	// StartDate and EndDate are event times.
	StartDate, EndDate *Millis
	// Flag marks the case in lists.
	Flag *bool
	// AddTags and RemoveTags are merged by TheHive with what is there.
	AddTags, RemoveTags []string
	// CustomFields are set beside those that the case has; their Order is not
	// sent. Partial updates are unreliable before TheHive 5.7.1.
	CustomFields []CustomField
	// Clear empties fields.
	Clear []Clearable
}

// wire checks an update and puts it into TheHive's words.
func (u CaseUpdate) wire(op string) (map[string]any, error) {
	if err := u.check(op); err != nil {
		return nil, err
	}
	body := map[string]any{}
	put(body, "title", u.Title)
	put(body, "description", u.Description)
	put(body, "summary", u.Summary)
	put(body, "severity", u.Severity)
	put(body, "tlp", u.TLP)
	put(body, "pap", u.PAP)
	put(body, "status", u.Status)
	put(body, "impactStatus", u.ImpactStatus)
	put(body, "assignee", u.Assignee)
	put(body, "startDate", u.StartDate)
	put(body, "endDate", u.EndDate)
	put(body, "flag", u.Flag)
	putList(body, "addTags", u.AddTags)
	putList(body, "removeTags", u.RemoveTags)
	if len(u.CustomFields) > 0 {
		fields := map[string]any{} // the form that adds; a list would replace all
		for _, f := range u.CustomFields {
			fields[f.Name] = f.Value
		}
		body["customFields"] = fields
	}
	for _, field := range u.Clear {
		if _, both := body[string(field)]; both {
			return nil, invalid(op, string(field), "is both set and cleared")
		}
		body[string(field)] = nil
	}
	if len(body) == 0 {
		return nil, invalid(op, "update", "changes nothing")
	}
	return body, nil
}

// check refuses what TheHive would.
func (u CaseUpdate) check(op string) error {
	if err := checkTexts(op,
		optionalText("title", u.Title, 1, MaxTitle), optionalText("description", u.Description, 0, MaxText),
		optionalText("summary", u.Summary, 0, MaxText), optionalText("status", u.Status, 1, MaxName),
		optionalText("impactStatus", u.ImpactStatus, 1, MaxLogin), optionalText("assignee", u.Assignee, 1, MaxLogin),
	); err != nil {
		return err
	}
	if err := checkLevels(op, u.Severity, u.TLP, u.PAP); err != nil {
		return err
	}
	if err := checkDates(op, value(u.StartDate), value(u.EndDate)); err != nil {
		return err
	}
	if err := checkTags(op, "addTags", u.AddTags); err != nil {
		return err
	}
	if err := checkTags(op, "removeTags", u.RemoveTags); err != nil {
		return err
	}
	for _, field := range u.Clear {
		switch field {
		case ClearSummary, ClearAssignee, ClearImpactStatus, ClearEndDate:
		default:
			return invalid(op, "clear", "names a field that cannot be cleared: "+quote(string(field)))
		}
	}
	return checkFields(op, u.CustomFields)
}

// checkFields refuses custom fields without a name or with a composite value.
func checkFields(op string, fields []CustomField) error {
	seen := map[string]bool{}
	for i, f := range fields {
		at := "customFields[" + strconv.Itoa(i) + "]"
		if err := checkTexts(op, rule{at + ".name", f.Name, 1, MaxName}); err != nil {
			return err
		}
		if seen[f.Name] {
			return invalid(op, at+".name", "is there twice: "+quote(f.Name))
		}
		seen[f.Name] = true
		if err := checkFieldValue(op, at, f.Value); err != nil {
			return err
		}
	}
	return nil
}

// checkFieldValue accepts nil and JSON scalars.
func checkFieldValue(op, at string, v any) error {
	switch r := reflect.ValueOf(v); r.Kind() {
	case reflect.Invalid, reflect.Bool, reflect.Int, reflect.Int32, reflect.Int64, reflect.Float64:
		return nil
	case reflect.String:
		if utf8.ValidString(r.String()) {
			return nil
		}
		return invalid(op, at+".value", "is not valid UTF-8")
	}
	return invalid(op, at+".value", fmt.Sprintf("is no scalar but %T", v))
}

// inputFields leaves out what is TheHive's to say.
func inputFields(fields []CustomField) []CustomField {
	out := make([]CustomField, 0, len(fields))
	for _, f := range fields {
		out = append(out, CustomField{Name: f.Name, Value: f.Value, Order: f.Order})
	}
	return out
}

// put sets a field of a body when it is to change.
func put[T any](body map[string]any, name string, v *T) {
	if v != nil {
		body[name] = *v
	}
}

// putList sets a list of a body when it has members, each once.
func putList(body map[string]any, name string, list []string) {
	if len(list) > 0 {
		body[name] = distinct(list)
	}
}

// value is what p points to, or zero.
func value[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}

// distinct keeps the first of each; TheHive's OpenAPI 5.6 wants unique items.
func distinct(list []string) []string {
	seen := make(map[string]bool, len(list))
	var out []string
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}
