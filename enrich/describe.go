package enrich

import (
	"strconv"
	"strings"
	"time"

	"forager/enrich/detection"
	"forager/enrich/markdown"
)

// Everything that comes from an event passes package markdown before it stands in Markdown.

// describe tells of one detection, for the description of the case that it may open.
func describe(d detection.Detection, key Key) string {
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			b.WriteString("- **" + name + "**: " + markdown.Text(value) + "\n")
		}
	}
	line("Time", d.Time.UTC().Format(time.RFC3339Nano))
	line("Rule", strings.TrimSpace(d.Rule.ID+" "+d.Rule.Name))
	line("Host", d.Host)
	line("User", d.User)
	line("Address", d.IP)
	line("Key", key.String())
	line("Source", strings.TrimSpace(d.Format+" "+d.Source))
	line("Id", d.ID)
	for _, kind := range sortedKeys(d.LeftOut) {
		line("Left out", kind+": "+strconv.Itoa(d.LeftOut[kind])+" over the limit")
	}
	if d.Description != "" {
		b.WriteString("\n" + markdown.Text(d.Description) + "\n")
	}
	return b.String()
}
