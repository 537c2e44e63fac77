package rules

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// levels are the words for severity, TLP and PAP.
var (
	severityWords = map[string]int{"low": 1, "medium": 2, "high": 3, "critical": 4}
	tlpWords      = map[string]int{"clear": 0, "white": 0, "green": 1, "amber": 2, "amber+strict": 3, "red": 4}
	papWords      = map[string]int{"clear": 0, "white": 0, "green": 1, "amber": 2, "red": 3}
)

// level reads a number within bounds, or a word.
func level(s string, words map[string]int, low, high int) (int, error) {
	s = strings.ToLower(strings.TrimSpace(s))
	if n, ok := words[s]; ok {
		return n, nil
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < low || n > high {
		names := slices.SortedFunc(maps.Keys(words), func(a, b string) int { return cmp.Or(words[a]-words[b], cmp.Compare(a, b)) })
		return 0, fmt.Errorf("%q is neither %d to %d nor %s", s, low, high, strings.Join(names, ", "))
	}
	return n, nil
}

// typed turns the text of a custom field into the value that TheHive takes for its type.
func typed(kind, s string) (any, error) {
	switch kind {
	case "", "string", "url":
		return s, nil
	case "integer":
		return strconv.ParseInt(strings.TrimSpace(s), 10, 64)
	case "float":
		n, err := strconv.ParseFloat(strings.TrimSpace(s), 64)
		if math.IsNaN(n) || math.IsInf(n, 0) {
			return nil, fmt.Errorf("%q is no number that JSON can write", s)
		}
		return n, err
	case "boolean":
		return strconv.ParseBool(strings.TrimSpace(s))
	case "date":
		if n, err := strconv.ParseInt(s, 10, 64); err == nil {
			return n, nil
		}
		at, err := time.Parse(time.RFC3339, strings.TrimSpace(s))
		return at.UnixMilli(), err
	default:
		return nil, fmt.Errorf("%q is no type of a custom field", kind)
	}
}
