package check

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"forager/cmd/worker/rulefiles"
	"forager/config"
	"forager/enrich/detection/canon"
	"forager/hive"
	"forager/mitre"
	"forager/pipeline/inspect"
)

// rules looks whether what routes name is there, as far as they name it without placeholders.
func (h *hiveInspection) rules(ctx context.Context, client *hive.Client, organisation string) {
	routes := h.routes(organisation)
	for _, k := range []struct {
		what, key string
		of        func(config.Route) []string
		list      func(context.Context) ([]string, error)
	}{
		{"custom field", "case.fields", fieldsOf, fieldNames(client)},
		{"case template", "case.template", func(r config.Route) []string { return []string{r.Case.Template} }, client.CaseTemplates},
		{"account", "case.assignee", assigneeOf, client.Logins},
	} {
		wanted := map[string][]string{} // name → routes
		var names []string
		for _, r := range routes {
			for _, name := range k.of(r) {
				if name == "" || strings.Contains(name, "{{") {
					continue
				}
				if wanted[name] == nil {
					names = append(names, name)
				}
				wanted[name] = append(wanted[name], r.Name)
			}
		}
		if len(names) > 0 {
			h.compare(ctx, k.what, k.key, names, wanted, k.list)
		}
	}
}

func (h *hiveInspection) compare(ctx context.Context, what, key string, names []string, wanted map[string][]string, list func(context.Context) ([]string, error)) {
	const about = "routes"
	there, err := list(ctx)
	if err != nil {
		h.add(inspect.LevelNote, about, "TheHive does not list every "+what+": "+oneLine(err.Error()), "whether those that routes name are there is not known", "look at them by hand: "+strings.Join(names, ", "))
		return
	}
	missing := 0
	for _, name := range names {
		if slices.Contains(there, name) {
			continue
		}
		missing++
		h.add(inspect.LevelHurts, about, fmt.Sprintf("TheHive has no %s %q", what, name), "cases are opened without it and tagged forager:degraded",
			"make it in TheHive, or mend "+key+" of "+strings.Join(wanted[name], ", "))
	}
	if missing == 0 {
		h.add(inspect.LevelOK, about, fmt.Sprintf("every %s that routes name is there: %s", what, strings.Join(names, ", ")), "", "")
	}
}

// fieldNames lists the names of TheHive's custom fields.
func fieldNames(client *hive.Client) func(context.Context) ([]string, error) {
	return func(ctx context.Context) ([]string, error) {
		all, err := client.CustomFields(ctx)
		names := make([]string, 0, len(all))
		for _, f := range all {
			names = append(names, f.Name)
		}
		return names, err
	}
}

func fieldsOf(r config.Route) []string {
	var names []string
	for _, f := range r.Case.Fields {
		names = append(names, f.Name)
	}
	return names
}

func assigneeOf(r config.Route) []string {
	if r.Case.Assignee == "none" {
		return nil
	}
	return []string{r.Case.Assignee}
}

// types looks which types of observables TheHive lacks.
func (h *hiveInspection) types(ctx context.Context, client *hive.Client) {
	const about = "data types"
	there, err := client.DataTypes(ctx)
	if err != nil {
		h.add(inspect.LevelNote, about, "TheHive does not list them: "+oneLine(err.Error()), "what it lacks becomes the type other", "nothing")
		return
	}
	var missing []string
	for _, t := range canon.DataTypes() {
		if !slices.Contains(there, t) {
			missing = append(missing, t)
		}
	}
	switch {
	case len(missing) == 0:
		h.add(inspect.LevelOK, about, fmt.Sprintf("all %d that detections bring", len(canon.DataTypes())), "", "")
	case slices.Contains(missing, "other"), slices.Contains(missing, "file"):
		h.add(inspect.LevelHurts, about, "TheHive has none called "+strings.Join(missing, ", "), "observables that it refuses, and files, cannot be added: their messages become dead letters", "add the types in TheHive's platform management")
	default:
		h.add(inspect.LevelNote, about, "TheHive has none called "+strings.Join(missing, ", "), "such observables become the type other, with the tag type:…", "add the types in TheHive's platform management")
	}
}

// attack looks which ATT&CK release TheHive holds.
func (h *hiveInspection) attack(ctx context.Context, client *hive.Client) error {
	const about = "ATT&CK"
	catalogue, err := rulefiles.NewCatalogue(h.config)
	if err != nil {
		return err
	}
	held, err := client.Patterns(ctx)
	if err != nil {
		h.add(inspect.LevelBroken, about, "TheHive does not list its patterns: "+oneLine(err.Error()), "a worker waits for them: without, no technique can be mapped", "look at TheHive's log")
		return nil
	}
	if len(held) == 0 {
		h.add(inspect.LevelBroken, about, "TheHive holds no patterns", "a worker waits for them: every technique would be lost to a tag", "import the ATT&CK catalogue in TheHive's platform management")
		return nil
	}
	patterns := make([]mitre.Pattern, 0, len(held))
	for _, p := range held {
		patterns = append(patterns, mitre.Pattern{ID: p.PatternID, Name: p.Name, Tactics: p.Tactics})
	}
	target := catalogue.For(mitre.KnownPatterns(patterns))
	release := target.Map("T1059", "").Release // what every Enterprise matrix has
	of := techniquesOf(catalogue, release)
	h.add(inspect.LevelOK, about, fmt.Sprintf("TheHive holds %d techniques, as of Enterprise %s", target.Len(), release), "", "")
	if target.Len() < of/2 {
		h.add(inspect.LevelHurts, about, fmt.Sprintf("they are few: Enterprise %s has %d", release, of), "techniques that are not there are recorded as their parents, or become tags", "import the whole catalogue in TheHive's platform management")
	}
	if newest := newestOf(catalogue); release != newest {
		h.add(inspect.LevelNote, about, "the newest release that Forager knows is "+newest, "techniques of it are recorded as what they were before", "import it in TheHive, if people should see the new names")
	}
	return nil
}

// techniquesOf is how many techniques a release of the Enterprise matrix has.
func techniquesOf(c *mitre.Catalogue, version string) int {
	for _, r := range c.Releases() {
		if r.Domain == mitre.Enterprise && r.Version == version {
			return r.Techniques + r.SubTechniques
		}
	}
	return 0
}

// newestOf is the newest release of the Enterprise matrix; they come oldest first.
func newestOf(c *mitre.Catalogue) (version string) {
	for _, r := range c.Releases() {
		if r.Domain == mitre.Enterprise {
			version = r.Version
		}
	}
	return version
}
