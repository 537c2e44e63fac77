package enrich

import (
	"maps"
	"slices"
	"strconv"
	"time"
)

func windowWords(d time.Duration) string {
	if d == 0 {
		return "without limit"
	}
	return d.String()
}

func count(n int) string { return strconv.Itoa(n) }

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
