package enrich

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"forager/hive"
)

// capWords says how many new cases may be opened, where that is not the default.
func (p Plan) capWords() string {
	var words []string
	switch {
	case p.KeyCap == DefaultNewCases, p.ByEvent:
	case p.KeyCap == 0:
		words = append(words, "any number of this key")
	default:
		words = append(words, "at most "+strconv.Itoa(p.KeyCap)+" of this key an hour")
	}
	if p.NewCap != 0 {
		words = append(words, "at most "+strconv.Itoa(p.NewCap)+" of this route an hour")
	}
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, ", ") + ")"
}

func windowWords(d time.Duration) string {
	if d == 0 {
		return "without limit"
	}
	return d.String()
}

func count(n int) string { return strconv.Itoa(n) }

// Excerpt bounds what errors quote of a text that somebody else wrote: to 200 bytes, on whole characters.
func Excerpt(s string) string {
	const most = 200
	if len(s) <= most {
		return s
	}
	return hive.Truncate(s, most) + "…"
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
