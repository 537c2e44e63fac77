package formats

import (
	"cmp"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"forager/enrich/detection/canon"
	"forager/enrich/detection/tree"
)

// words are the names of severities that need no table in a format file.
var words = map[string]canon.Severity{
	"informational": canon.Low, "information": canon.Low, "info": canon.Low, "low": canon.Low, "minor": canon.Low, "debug": canon.Low, "verbose": canon.Low, "trivial": canon.Low,
	"medium": canon.Medium, "med": canon.Medium, "moderate": canon.Medium, "warning": canon.Medium, "warn": canon.Medium, "notice": canon.Low,
	"high": canon.High, "major": canon.High, "error": canon.High, "err": canon.High, "important": canon.High,
	"critical": canon.Critical, "crit": canon.Critical, "fatal": canon.Critical, "severe": canon.Critical, "emergency": canon.Critical, "emerg": canon.Critical, "alert": canon.Critical,
	"urgent": canon.Critical, "veryhigh": canon.Critical, "verylow": canon.Low,
	"p0": canon.Critical, "p1": canon.Critical, "p2": canon.High, "p3": canon.Medium, "p4": canon.Low, "p5": canon.Low,
	"priority1": canon.Critical, "priority2": canon.High, "priority3": canon.Medium, "priority4": canon.Low, "priority5": canon.Low,
	"sev0": canon.Critical, "sev1": canon.Critical, "sev2": canon.High, "sev3": canon.Medium, "sev4": canon.Low, "sev5": canon.Low,
}

// scale makes words and bands ready.
func (f *Field) scale() error {
	f.words, f.bands = map[string]canon.Severity{}, nil
	for word, name := range f.Words {
		s, err := canon.SeverityNamed(name, 0)
		if err != nil {
			return err
		}
		f.words[tree.Fold(word)] = s
	}
	for from, name := range f.Bands {
		s, err := canon.SeverityNamed(name, 0)
		if err != nil {
			return err
		}
		f.bands = append(f.bands, band{from: from, severity: s})
	}
	slices.SortFunc(f.bands, func(a, b band) int { return cmp.Compare(b.from, a.from) })
	return nil
}

// SeverityOf reads a text by the field's bands and words, and by the usual words.
func (f *Field) SeverityOf(s string) canon.Severity {
	if len(f.bands) > 0 {
		if n, err := strconv.ParseFloat(s, 64); err == nil {
			for _, b := range f.bands {
				if n >= b.from {
					return b.severity
				}
			}
		}
	}
	if got := f.severityWord(s); got != 0 {
		return got
	}
	return f.severityAmong(s)
}

func (f *Field) severityWord(s string) canon.Severity {
	s = tree.Fold(s)
	if got, ok := f.words[s]; ok {
		return got
	}
	return words[s]
}

// severityAmong reads a severity with something beside it: "High (8)", "2 - High", "SEVERITY_HIGH".
// Words that disagree, and many words, say nothing.
func (f *Field) severityAmong(s string) canon.Severity {
	parts := strings.FieldsFunc(s, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '.' })
	if len(parts) < 2 || len(parts) > 4 {
		return 0
	}
	found := canon.Severity(0)
	for _, part := range parts {
		switch got := f.severityWord(part); {
		case strings.EqualFold(part, "not"), strings.EqualFold(part, "non"), got != 0 && found != 0 && got != found:
			return 0
		case got != 0:
			found = got
		}
	}
	return found
}
