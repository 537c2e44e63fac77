package enrich

import (
	"slices"
	"strconv"
	"strings"
	"unicode"

	"forager/enrich/detection"
	"forager/enrich/detection/canon"
	"forager/enrich/markdown"
	"forager/enrich/rules"
)

func tagsOf(d detection.Detection) []string {
	tags := []string{d.Format}
	if d.TimeReplaced {
		tags = append(tags, TagPrefix+"time-replaced")
	}
	for _, m := range d.Marks {
		tags = append(tags, TagPrefix+m)
	}
	for _, t := range d.Tags {
		t = canon.Clean(t, rules.MaxTag)
		// Nothing in an event can pose as Forager's own mark.
		if t != "" && !reserved(t) {
			tags = append(tags, t)
		}
	}
	slices.Sort(tags)
	return slices.Compact(tags)
}

// reserved tells whether a tag is Forager's own to give, or looks like one: by it a case is found,
// and people trust it. What is no letter, digit or colon counts for nothing, since much of it is
// not seen.
func reserved(tag string) bool {
	seen := strings.Map(func(r rune) rune {
		if r == ':' || unicode.IsLetter(r) || unicode.IsDigit(r) {
			return unicode.ToLower(r)
		}
		return -1
	}, tag)
	return strings.HasPrefix(seen, TagPrefix)
}

// observablesOf are a detection's observables as TheHive shall have them: their messages are
// Markdown there, and their tags may not pass for Forager's.
func observablesOf(d detection.Detection) []detection.Observable {
	all := slices.Clone(d.Observables)
	for i := range all {
		all[i].Message = markdown.Text(all[i].Message)
		if slices.ContainsFunc(all[i].Tags, reserved) {
			all[i].Tags = slices.DeleteFunc(slices.Clone(all[i].Tags), reserved)
		}
	}
	return all
}

// roles are the tags of observables that say what a value was, in words.
var roles = map[string]string{"src": "source ", "dst": "destination ", "parent": "parent "}

// Detector is what found something: how a rule is called in texts, and the product. Its zero value is nobody.
type Detector struct{ Called, Format string }

// mostDetectors are named in the message of observables.
const mostDetectors = 3

// ObservableText is the message of observables that are added in one call, in Markdown: what the sender says of them,
// which is Markdown already, their part in the detection, and what found them.
func ObservableText(o detection.Observable, by []Detector) string {
	var found []string
	for _, d := range by[:min(len(by), mostDetectors)] {
		found = append(found, "*"+markdown.Line(d.Called)+"*, "+markdown.Line(d.Format))
	}
	switch {
	case len(by) == 0:
		return o.Message
	case len(by) > mostDetectors:
		found = append(found, "and "+strconv.Itoa(len(by)-mostDetectors)+" more")
	}
	text := partOf(o) + " in " + found[0]
	if len(by) > 1 {
		text = partOf(o) + " in one of " + strings.Join(found, "; ")
	}
	return strings.TrimPrefix(o.Message+"\n\n"+text, "\n\n")
}

// partOf is what a value was in its detection, in words.
func partOf(o detection.Observable) string {
	part := o.DataType
	if part == "ip" {
		part = "address"
	}
	for _, tag := range o.Tags {
		if role, known := roles[tag]; known {
			return role + part
		}
	}
	return part
}
