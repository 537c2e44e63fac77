package hivetest

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"
)

const tagPrefix = "forager:"

var (
	keyTag     = regexp.MustCompile(`^forager:[0-9a-f]{32}$`)
	markerSpan = regexp.MustCompile("`(forager:[^`]*)`")
	ruleAndDay = regexp.MustCompile(`(?:^|\s)rule=(\S+)(?:.*\s)?day=(\S+)`)
)

func (s *store) duplicates(window time.Duration) Duplicates {
	var d Duplicates
	byTag := map[string][]*doc{}
	for e := range s.of(caseKind).each {
		for _, t := range caseKeys(e.doc) {
			byTag[t] = append(byTag[t], e.doc)
		}
		d.Observables += repeated(e, observableKind, valueKey)
		d.Procedures += repeated(e, procedureKind, techniqueKey)
		d.Comments += repeatedComments(e)
		d.Files += repeated(e, attachmentKind, fileKey) + repeated(e, observableKind, observedFileKey)
		d.Tasks += repeated(e, taskKind, titleKey)
		d.Pages += repeated(e, pageKind, titleKey)
	}
	extra := map[*entry]bool{}
	for _, cases := range byTag {
		for _, c := range superfluous(cases, window) {
			extra[c.entry] = true
		}
	}
	d.Cases = len(extra)
	return d
}

// caseKeys are the tags by which Forager finds a case. Beside the hash of the key there may be other forager: tags,
// which say something of the case and identify nothing; a case without a hash counts by all that it has.
func caseKeys(d *doc) []string {
	var hashes, others []string
	for _, t := range d.list("tags") {
		switch {
		case keyTag.MatchString(t):
			hashes = append(hashes, t)
		case strings.HasPrefix(t, tagPrefix) && t != "forager:degraded":
			others = append(others, t)
		}
	}
	if hashes != nil {
		return hashes
	}
	return others
}

// superfluous are the cases that began within the window of an earlier one while that one was open.
func superfluous(cases []*doc, window time.Duration) []*doc {
	slices.SortFunc(cases, func(a, b *doc) int {
		return cmp.Or(cmp.Compare(a.num("startDate"), b.num("startDate")), cmp.Compare(a.num("number"), b.num("number")))
	})
	span := int64(math.MaxInt64)
	if window > 0 {
		span = window.Milliseconds()
	}
	var out []*doc
	for i, later := range cases {
		start := later.num("startDate")
		if slices.ContainsFunc(cases[:i], func(earlier *doc) bool {
			open := earlier.text("stage") != "Closed" || earlier.num("endDate") > start
			return open && start-earlier.num("startDate") < span
		}) {
			out = append(out, later)
		}
	}
	return out
}

// repeated counts the children of a kind whose key an earlier one has; an empty key counts for nothing.
func repeated(e *entry, k *kind, key func(*doc) string) int {
	n, seen := 0, map[string]bool{}
	for child := range e.children(k).each {
		id := key(child.doc)
		if id == "" {
			continue
		}
		if seen[id] {
			n++
		}
		seen[id] = true
	}
	return n
}

func valueKey(d *doc) string {
	if d.text("data") == "" {
		return ""
	}
	return d.text("dataType") + "\x00" + d.text("data")
}

func techniqueKey(d *doc) string { return d.text("patternId") + "\x00" + d.text("tactic") }

func titleKey(d *doc) string { return d.text("title") }

func fileKey(d *doc) string { return d.text("id") + "\x00" + d.text("name") }

func observedFileKey(d *doc) string {
	if a, ok := d.get("attachment").(*doc); ok {
		return fileKey(a)
	}
	return ""
}

// repeatedComments counts comments whose marker or whose text an earlier one of the case has.
func repeatedComments(e *entry) int {
	n, texts, markers := 0, map[string]bool{}, map[string]bool{}
	for child := range e.children(commentKind).each {
		message := child.doc.text("message")
		m := marker(message)
		if texts[message] || m != "" && markers[m] {
			n++
		}
		texts[message], markers[m] = true, true
	}
	return n
}

// marker is what identifies a comment of Forager's: the last line that holds a code span beginning with forager:. Of a
// span that names rule and day only these two count, since the list of ids beside them grows.
func marker(message string) string {
	found := ""
	for line := range strings.Lines(message) {
		span := markerSpan.FindStringSubmatch(line)
		if span == nil {
			continue
		}
		found = strings.TrimSpace(line)
		if m := ruleAndDay.FindStringSubmatch(span[1]); m != nil {
			found = "rule=" + m[1] + " day=" + m[2]
		}
	}
	return found
}
