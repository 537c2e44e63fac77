package apply

import (
	"cmp"
	"strings"
	"time"

	"forager/enrich"
	"forager/enrich/markdown"
)

// sightingTable is a table of detections: time, rule, user, from and to, process or file, id with its link.
func sightingTable(all []enrich.Sighting) string {
	var b strings.Builder
	b.WriteString("| Time | Rule | User | From → to | Process or file | Id |\n|---|---|---|---|---|---|\n")
	for _, s := range all {
		b.WriteString("| " + strings.Join([]string{
			enrich.Stamp(time.UnixMilli(s.At)), markdown.CellText(s.Rule), markdown.Cell(s.User), fromTo(s), markdown.Cell(s.What), idCell(s),
		}, " | ") + " |\n")
	}
	return b.String()
}

// fromTo says where a detection came from and went to, as far as it is known.
func fromTo(s enrich.Sighting) string {
	if s.To == "" {
		return markdown.Cell(s.From)
	}
	return cmp.Or(markdown.Cell(s.From), "?") + " → " + markdown.Cell(s.To)
}

// idCell is the id of a detection, with the way back to its console.
func idCell(s enrich.Sighting) string {
	if s.Link == "" {
		return markdown.Cell(s.ID)
	}
	return markdown.Cell(s.ID) + " " + markdown.Link(s.Link)
}
