package enrich

import (
	"slices"
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
