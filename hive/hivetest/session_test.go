package hivetest_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"forager/hive/hivetest"
)

// A session is a conversation with a fresh server. A line is
//
//	POST /api/v1/case {"title":…}   a request; further lines that begin with a space continue it
//	201 {"number":1}                the status of its answer, and what the answer's JSON must contain at least
//	id = _id                        remember a part of the answer; $id stands for it from then on
//	header X-Organisation: admin    a header of all further requests; no value: drop it
//	in 5.5.13 5.6.2                 from here on only for these releases; in all: for each again
//	# …                             a remark
//
// In what is expected "<any>" is anything, "<none>" an absent property; arrays must have equal length.
func TestSessions(t *testing.T) {
	files, err := filepath.Glob("testdata/sessions/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no sessions: %v", err)
	}
	for _, version := range described {
		for _, file := range files {
			t.Run(version+"/"+strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
				t.Parallel()
				raw, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				o := hivetest.Options{Version: version + "-1", Quirks: hivetest.Quirks{UnknownField: "refused"}}
				s := session{rig: newRig(t, o), vars: map[string]string{}}
				s.vars["version"] = version
				s.play(strings.ReplaceAll(string(raw), "\n ", " "))
			})
		}
	}
}

type session struct {
	*rig
	vars map[string]string
	last answer
	said string
}

var (
	requestLine  = regexp.MustCompile(`^(GET|POST|PUT|PATCH|DELETE) (\S+)\s*(.*)$`)
	statusLine   = regexp.MustCompile(`^(\d{3})\s*(.*)$`)
	rememberLine = regexp.MustCompile(`^(\w+) = (\S+)$`)
	headerLine   = regexp.MustCompile(`^header ([\w-]+):\s*(.*)$`)
	variable     = regexp.MustCompile(`\$\w+`)
)

func (s *session) play(text string) {
	s.t.Helper()
	skip := false
	for n, line := range strings.Split(text, "\n") {
		line = strings.TrimSpace(line)
		if of, ok := strings.CutPrefix(line, "in "); ok {
			skip = of != "all" && !slices.Contains(strings.Fields(of), s.vars["version"])
			continue
		}
		if skip {
			continue
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if err := s.line(s.fill(line)); err != nil {
			s.t.Errorf("%d: %s\n%s\n%v", n+1, s.said, line, err)
		}
	}
}

func (s *session) fill(line string) string {
	return variable.ReplaceAllStringFunc(line, func(name string) string {
		if v, ok := s.vars[name[1:]]; ok {
			return v
		}
		return name
	})
}

func (s *session) line(line string) error {
	if m := requestLine.FindStringSubmatch(line); m != nil {
		s.said = line
		s.last = s.do(m[1], m[2], m[3])
		return nil
	}
	if m := statusLine.FindStringSubmatch(line); m != nil {
		return s.expect(m[1], m[2])
	}
	if m := rememberLine.FindStringSubmatch(line); m != nil {
		v := s.last.at(m[2])
		if v == nil {
			return fmt.Errorf("no %s in %s", m[2], s.last.raw)
		}
		s.vars[m[1]] = fmt.Sprint(v)
		return nil
	}
	if m := headerLine.FindStringSubmatch(line); m != nil {
		s.header.Set(m[1], m[2])
		if m[2] == "" {
			s.header.Del(m[1])
		}
		return nil
	}
	return fmt.Errorf("no such line")
}

func (s *session) expect(status, body string) error {
	if strconv.Itoa(s.last.status) != status {
		return fmt.Errorf("got %d %s", s.last.status, s.last.raw)
	}
	if body == "" {
		return nil
	}
	var want any
	if err := json.Unmarshal([]byte(body), &want); err != nil {
		return fmt.Errorf("expectation: %w", err)
	}
	if where := differs(want, s.last.value, ""); where != "" {
		return fmt.Errorf("differs at %s in %s", where, s.last.raw)
	}
	return nil
}

// differs finds where a value does not contain what is wanted; empty: it does.
func differs(want, got any, at string) string {
	switch want := want.(type) {
	case map[string]any:
		m, ok := got.(map[string]any)
		if !ok {
			return at + " (no object)"
		}
		for name, w := range want {
			g, there := m[name]
			if w == "<none>" && !there {
				continue
			}
			if where := differs(w, g, at+"."+name); where != "" || !there {
				return at + "." + name + where
			}
		}
		return ""
	case []any:
		l, ok := got.([]any)
		if !ok || len(l) != len(want) {
			return at + " (length)"
		}
		for i := range want {
			if where := differs(want[i], l[i], at+"."+strconv.Itoa(i)); where != "" {
				return where
			}
		}
		return ""
	}
	if want == "<any>" && got != nil || want == got {
		return ""
	}
	return fmt.Sprintf("%s (%v)", at, got)
}
