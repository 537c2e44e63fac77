package apply

import (
	"bytes"
	"encoding/json"
	"errors"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"forager/enrich"
	"forager/hive"
)

// A case that TheHive refuses is opened without what it refuses, and with all else: values of the
// configuration (an assignee who left, a template that was renamed, a custom field that does not
// exist) cost a tag, words of an event are charged to it.

// degradedTag is on cases that lack something of the configuration.
const degradedTag = enrich.TagPrefix + "degraded"

// optional is what a case can be opened without.
type optional struct {
	name   string
	words  []string // by which an error may name it
	drop   func(c *hive.NewCase)
	config bool // it comes from the configuration, not from the event
}

// partsOf are what a case can be opened without, those of the configuration first.
func partsOf(c hive.NewCase, plans []enrich.Plan) (all []optional) {
	config := func(name string, drop func(c *hive.NewCase), words ...string) {
		all = append(all, optional{name, words, drop, true})
	}
	if c.Assignee != "" {
		config("assignee "+c.Assignee, func(c *hive.NewCase) { c.Assignee = "" }, "assignee", c.Assignee)
	}
	if c.CaseTemplate != "" {
		config("template "+c.CaseTemplate, func(c *hive.NewCase) { c.CaseTemplate = "" }, "caseTemplate", c.CaseTemplate)
	}
	for i, f := range c.CustomFields {
		text, _ := f.Value.(string)
		config("custom field "+f.Name, func(c *hive.NewCase) {
			c.CustomFields = slices.DeleteFunc(slices.Clone(c.CustomFields), func(g hive.CustomField) bool { return g.Name == f.Name })
		}, "customFields."+f.Name, "customFields["+strconv.Itoa(i)+"]", f.Name, text)
	}
	for i, t := range c.Tasks {
		config("task "+t.Title, func(c *hive.NewCase) {
			c.Tasks = slices.DeleteFunc(slices.Clone(c.Tasks), func(u hive.NewTask) bool { return u == t })
		}, "tasks["+strconv.Itoa(i)+"]", t.Title)
	}
	for i, p := range c.Pages {
		config("page "+p.Title, func(c *hive.NewCase) {
			c.Pages = slices.DeleteFunc(slices.Clone(c.Pages), func(q hive.NewPage) bool { return q == p })
		}, "pages["+strconv.Itoa(i)+"]", p.Title)
	}
	event := func(name string, drop func(c *hive.NewCase)) {
		all = append(all, optional{name, []string{name}, drop, false})
	}
	event("description", func(c *hive.NewCase) { c.Description = markersOnly(plans) })
	event("tags", func(c *hive.NewCase) {
		c.Tags = slices.DeleteFunc(slices.Clone(c.Tags), func(t string) bool { return !ownTag(t) })
	})
	event("title", func(c *hive.NewCase) { c.Title = "Detections of " + plans[0].Hash })
	return all
}

// named tells whether an error names what the configuration gave.
func (n *creation) named(err error) bool {
	_, ok := n.namedPart(err)
	return ok
}

func (n *creation) namedPart(err error) (optional, bool) {
	text := err.Error()
	if e, ok := errors.AsType[*hive.Error](err); ok {
		text = e.Message
	}
	if e, ok := errors.AsType[*hive.InvalidError](err); ok {
		text = e.Field
	}
	for _, p := range partsOf(n.base, n.plans) {
		if p.config && slices.ContainsFunc(p.words, func(w string) bool { return names(text, w) }) {
			return p, true
		}
	}
	return optional{}, false
}

// names tells whether a text holds a word, not as a part of another.
func names(text, word string) bool {
	if utf8.RuneCountInString(word) < 2 {
		return false
	}
	text, word = strings.ToLower(text), strings.ToLower(word)
	for rest := text; ; {
		at := strings.Index(rest, word)
		if at < 0 {
			return false
		}
		before, _ := utf8.DecodeLastRuneInString(rest[:at])
		after, _ := utf8.DecodeRuneInString(rest[at+len(word):])
		if !inWord(before) && !inWord(after) {
			return true
		}
		rest = rest[at+len(word):]
	}
}

func inWord(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }

// leaveOut takes out of a refused case what is at fault: what the error names, else each part in
// turn, each two, and at last all. It tells whether there is something left to try.
func (n *creation) leaveOut(err error) bool {
	if n.tries++; n.tries > maxDegrades {
		return false
	}
	if p, ok := n.namedPart(err); ok && n.trial == 0 {
		n.without(p)
		return true
	}
	all := partsOf(n.base, n.plans)
	sets := subsets(len(all))
	if n.trial == len(sets) {
		return false
	}
	n.sent, n.left = n.base, nil
	for _, i := range sets[n.trial] {
		all[i].drop(&n.sent)
		n.left = append(n.left, all[i])
	}
	n.trial++
	n.tag()
	return true
}

// without takes a part out of the case for good.
func (n *creation) without(p optional) {
	p.drop(&n.base)
	n.sent, n.out = n.base, append(n.out, p)
	n.tag()
}

// leaveOutPart takes out the part of a name.
func (n *creation) leaveOutPart(name string) {
	all := partsOf(n.base, n.plans)
	if i := slices.IndexFunc(all, func(p optional) bool { return p.name == name }); i >= 0 {
		n.without(all[i])
	}
}

// maxDegrades bounds how often a refused case is tried with less.
const maxDegrades = 120

// subsets are the indices of each of n parts, of each two, and of all.
func subsets(n int) (sets [][]int) {
	all := make([]int, n)
	for i := range n {
		all[i] = i
		sets = append(sets, []int{i})
	}
	for i := range n {
		for j := i + 1; j < n; j++ {
			sets = append(sets, []int{i, j})
		}
	}
	if len(sets) >= maxDegrades/2 {
		sets = sets[:n] // too many by twos
	}
	return append(sets, all)
}

// gone is all that the case is opened without.
func (n *creation) gone() []optional { return slices.Concat(n.out, n.left) }

// degraded tells whether something of the configuration was left out.
func (n *creation) degraded() bool {
	return slices.ContainsFunc(n.gone(), func(p optional) bool { return p.config })
}

// tag marks the case as what it is.
func (n *creation) tag() {
	if n.degraded() && !slices.Contains(n.sent.Tags, degradedTag) {
		n.sent.Tags = append(slices.Clone(n.sent.Tags), degradedTag)
	}
}

// why names what of the configuration the case lacks, for people.
func (n *creation) why(c hive.Case) string {
	var all []string
	for _, p := range n.gone() {
		if p.config {
			all = append(all, p.name)
		}
	}
	for _, f := range lostFields(c, n.sent) {
		all = append(all, "custom field "+f)
	}
	text := strings.Join(all, ", ")
	if n.cause != nil {
		text += ": " + n.cause.Error()
	}
	return enrich.Excerpt(text)
}

// lostFields gives the custom fields that TheHive left out, or changed, without a word.
func lostFields(c hive.Case, sent hive.NewCase) (lost []string) {
	for _, f := range sent.CustomFields {
		if !slices.ContainsFunc(c.CustomFields, func(g hive.CustomField) bool {
			return strings.EqualFold(g.Name, f.Name) && sameValue(g.Value, f.Value)
		}) {
			lost = append(lost, f.Name)
		}
	}
	return lost
}

// sameValue compares values of custom fields as JSON has them.
func sameValue(a, b any) bool {
	x, errX := json.Marshal(a)
	y, errY := json.Marshal(b)
	return errX == nil && errY == nil && bytes.Equal(x, y)
}
