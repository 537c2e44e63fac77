package enrich

import (
	"cmp"
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
		all[i].Message = messageOf(all[i], d)
		if slices.ContainsFunc(all[i].Tags, reserved) {
			all[i].Tags = slices.DeleteFunc(slices.Clone(all[i].Tags), reserved)
		}
	}
	return all
}

// roles are the tags of observables that say what a value was, in words.
var roles = map[string]string{"src": "source ", "dst": "destination ", "parent": "parent "}

// messageOf says what an observable was: what the sender says of it, its part in the detection, the rule, and the product.
func messageOf(o detection.Observable, d detection.Detection) string {
	said := markdown.Text(o.Message)
	if said != "" {
		said += "\n\n"
	}
	part := o.DataType
	if part == "ip" {
		part = "address"
	}
	for _, tag := range o.Tags {
		if role, known := roles[tag]; known {
			part = role + part
			break
		}
	}
	return said + part + " in *" + markdown.Line(cmp.Or(d.Rule.Name, d.Title, d.Rule.ID)) + "*, " + markdown.Line(d.Format)
}
