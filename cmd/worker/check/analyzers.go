package check

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"forager/hive"
	"forager/hive/connector"
	"forager/pipeline/inspect"
)

// analyzers looks whether routes can have analysed what they want to: whether the account may ask Cortex, and Cortex has what they name.
func (h *hiveInspection) analyzers(ctx context.Context, client *hive.Client, organisation string) {
	const about, right = "analyzers", "manageAnalyse"
	wanted := map[string][]string{} // analyzer → routes
	var names []string
	for _, r := range h.routes(organisation) {
		for _, a := range r.Analyze {
			if wanted[a.Analyzer] == nil {
				names = append(names, a.Analyzer)
			}
			wanted[a.Analyzer] = append(wanted[a.Analyzer], r.Name)
		}
	}
	if len(names) == 0 {
		return
	}
	const costs = "such observables are not analysed, and the page of detections says so"
	if user, err := client.CurrentUser(ctx); err == nil && !user.May(right) {
		h.add(inspect.LevelHurts, about, user.Login+" (profile "+user.Profile+") may not run analyzers, and routes want it (analyze)", costs, "give its profile the permission "+right)
	}
	all, err := connector.New(client).Analyzers(ctx)
	if err != nil {
		h.add(inspect.LevelNote, about, "TheHive does not list Cortex's analyzers: "+oneLine(err.Error()), "whether those that routes name are there is not known", "look at TheHive's connection with Cortex")
		return
	}
	missing := 0
	for _, name := range names {
		if slices.ContainsFunc(all, func(w connector.Worker) bool { return w.ID == name || w.Name == name }) {
			continue
		}
		missing++
		h.add(inspect.LevelHurts, about, fmt.Sprintf("Cortex has no analyzer %q for %s", name, organisation), costs, "enable it in Cortex, or mend analyze of "+strings.Join(wanted[name], ", "))
	}
	if missing == 0 {
		h.add(inspect.LevelOK, about, "every analyzer that routes name is there: "+strings.Join(names, ", "), "", "")
	}
}
