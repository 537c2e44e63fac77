package events

import (
	"slices"
	"strings"
	"testing"
)

func TestFilesAreCutIntoEvents(t *testing.T) {
	tests := map[string][]string{
		"":                                  {""},
		"{\"a\":1}":                         {`{"a":1}`},
		"{\"a\":1}\n\n{\"b\":2}\n":          {`{"a":1}`, `{"b":2}`},
		"{\"a\":1}\nbroken\n{\"b\":2}":      {`{"a":1}`, "broken", `{"b":2}`},
		"{\n\"a\":1}\n":                     {"{\n\"a\":1}\n"},
		"{\n\"a\":1}\n{\n\"b\":2}":          {"{\n\"a\":1}", "{\n\"b\":2}"},
		"{\n\"a\":1}\nbroken":               {"{\n\"a\":1}\nbroken"},
		"[{\"a\":1},\n{\"b\":2}]":           {"[{\"a\":1},\n{\"b\":2}]"},
		"{\"a\":1}\r\n{\"b\":2}\r\n":        {`{"a":1}`, `{"b":2}`},
		strings.Repeat(" ", 70000) + "{}\n": {"{}"},
	}
	for text, want := range tests {
		var got []string
		Split("x", strings.NewReader(text), func(e Event, err error) bool {
			if err != nil {
				t.Error(err)
			}
			got = append(got, string(e.Body))
			return true
		})
		if !slices.Equal(got, want) {
			t.Errorf("%.40q: %q, want %q", text, got, want)
		}
	}
}
