package canon

import (
	"fmt"
	"strings"
)

// Severity is how bad the sender thinks a detection is, on TheHive's scale.
// The zero value means that the event did not say.
type Severity int

// TheHive's four severities (OpenAPI 5.5.13, InputCreateCase.severity).
const (
	Low      Severity = 1
	Medium   Severity = 2
	High     Severity = 3
	Critical Severity = 4
)

// SeverityNamed is the severity of one of the five words; none where there is no word.
func SeverityNamed(name string, none Severity) (Severity, error) {
	if name == "" {
		return none, nil
	}
	for s, n := range []string{"none", "low", "medium", "high", "critical"} {
		if strings.EqualFold(n, name) {
			return Severity(s), nil
		}
	}
	return 0, fmt.Errorf("%q is none of low, medium, high, critical, none", name)
}
