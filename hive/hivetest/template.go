package hivetest

import "slices"

// applyTemplate completes a new case from the template it names; what the case says itself wins, its tasks replace the
// template's.
func (s *store) applyTemplate(org string, values map[string]any) error {
	name, ok := values["caseTemplate"].(string)
	if !ok {
		return nil
	}
	e := s.lookup(caseTemplateKind, org, name)
	if e == nil {
		return notFound("CaseTemplate %s not found", name)
	}
	t := e.doc
	if prefix := t.text("titlePrefix"); prefix != "" {
		if title, ok := values["title"].(string); ok {
			values["title"] = prefix + " " + title
		}
	}
	values["tags"] = union(t.list("tags"), list[string](values, "tags"))
	if values["summary"] == nil && t.text("summary") != "" {
		values["summary"] = t.text("summary")
	}
	if values["tasks"] == nil {
		values["tasks"] = templateTasks(t)
	}
	sent, _ := values["customFields"].([]customInput)
	kept, _ := t.get("customFields").([]customValue)
	for _, v := range kept {
		if !slices.ContainsFunc(sent, func(in customInput) bool { return in.name == v.Name }) {
			sent = append(sent, customInput{v.Name, jsonValue(v.Value), v.Order})
		}
	}
	values["customFields"] = sent
	return nil
}

// jsonValue turns a kept value back into the form in which it was sent.
func jsonValue(v any) any {
	out, err := decodeJSON(toJSON(v))
	if err != nil {
		return nil
	}
	return out
}

func templateTasks(t *doc) []map[string]any {
	docs, _ := t.get("tasks").([]*doc)
	out := make([]map[string]any, 0, len(docs))
	for _, d := range docs {
		out = append(out, valuesOf(d))
	}
	return out
}
