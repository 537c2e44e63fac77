package apply

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
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
		if isDigest(p) {
			continue // it is as the description is
		}
		config("page "+p.Title, func(c *hive.NewCase) {
			c.Pages = slices.DeleteFunc(slices.Clone(c.Pages), func(q hive.NewPage) bool { return q == p })
		}, "pages["+strconv.Itoa(i)+"]", p.Title)
	}
	event := func(name string, drop func(c *hive.NewCase)) {
		all = append(all, optional{name, []string{name}, drop, false})
	}
	event("description", func(c *hive.NewCase) {
		c.Description = markersOnly(plans)
		c.Pages = slices.DeleteFunc(slices.Clone(c.Pages), isDigest)
	})
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

// fieldTypes are the types of TheHive's custom fields: asked where a value may act, kept for a while.
// What the configuration calls a field is not what TheHive makes of it. Safe for concurrent use.
type fieldTypes struct {
	mu sync.Mutex
	of map[string]string // by name in lower case, as TheHive compares them
	at time.Time
}

// fieldTypesKept is how long an answer counts; a field that it lacks is asked for again.
const fieldTypesKept = 10 * time.Minute

// typeOf gives the type of a field as TheHive has it; empty is a field that it does not have.
func (f *fieldTypes) typeOf(ctx context.Context, from FieldLister, name string) (string, error) {
	name = strings.ToLower(name)
	f.mu.Lock()
	kind, known := f.of[name]
	known = known && time.Since(f.at) < fieldTypesKept
	f.mu.Unlock()
	if known {
		return kind, nil
	}
	all, err := from.CustomFields(ctx)
	if err != nil {
		return "", err
	}
	of := make(map[string]string, len(all))
	for _, c := range all {
		of[strings.ToLower(c.Name)] = c.Type
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of, f.at = of, time.Now()
	return of[name], nil
}

// urlField is TheHive's type of a custom field that it shows as a link.
const urlField = "url"

var errNoPage = errors.New("TheHive would make a link of it, and it does not begin with https:// or http://")

// leaveOutLinks leaves out of a case the texts that TheHive would make a link of which does something
// else than open a page: what a field of the type url in the configuration never takes either. Where
// TheHive does not tell the type, the text is left out, too; the case is opened in any case.
func (r *resolution) leaveOutLinks(ctx context.Context, n *creation) error {
	for _, f := range n.base.CustomFields {
		text, ok := f.Value.(string)
		if !ok || !leadsElsewhere(text) {
			continue
		}
		kind, err := r.a.types.typeOf(ctx, r.hive, f.Name)
		if err != nil && scopeOf(err) == scopeAll && !deniedList(err) {
			return err
		}
		if err == nil && kind != urlField {
			continue
		}
		n.cause = cmp.Or(n.cause, err, errNoPage)
		n.leaveOutPart("custom field " + f.Name)
	}
	return nil
}

// deniedList tells whether the account may not list fields. That keeps no case from being opened.
func deniedList(err error) bool {
	e, ok := errors.AsType[*hive.Error](err)
	return ok && e.Verdict() == hive.Denied
}

// scheme is how an address begins (RFC 3986).
var scheme = regexp.MustCompile(`^(?i:[a-z][a-z0-9+.-]*):`)

// leadsElsewhere tells whether a browser could read a text as an address that is none of a page. It
// passes over spaces before it, controls and what nobody sees, as browsers do.
func leadsElsewhere(text string) bool {
	seen := strings.TrimLeftFunc(strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf) {
			return -1
		}
		return r
	}, text), unicode.IsSpace)
	begins := strings.ToLower(scheme.FindString(seen))
	return begins != "" && begins != "https:" && begins != "http:"
}

// templateTags are the tags of case templates, asked for where a case is opened by one, and kept for a while. TheHive adds them
// itself only to a case that comes without tags (from 5.7.1), and Forager's have some. Safe for concurrent use.
type templateTags struct {
	mu sync.Mutex
	of map[string]knownTags // by organisation and template
}

type knownTags struct {
	tags []string
	at   time.Time
}

// tagsOf gives the tags of an organisation's template.
func (t *templateTags) tagsOf(ctx context.Context, from FieldLister, organisation, template string) ([]string, error) {
	key := organisation + "\x00" + template
	t.mu.Lock()
	was, known := t.of[key]
	t.mu.Unlock()
	if known && time.Since(was.at) < fieldTypesKept {
		return was.tags, nil
	}
	tags, err := from.TemplateTags(ctx, template)
	if err != nil {
		return nil, err
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.of == nil || len(t.of) >= maxTemplates {
		t.of = map[string]knownTags{}
	}
	t.of[key] = knownTags{tags, time.Now()}
	return tags, nil
}

// maxTemplates bounds how many templates' tags are kept: a route may name one by the event.
const maxTemplates = 1000

// addTemplateTags lets a case have the tags of its template. Where TheHive does not tell them, or has no such template,
// the case is opened without them.
func (r *resolution) addTemplateTags(ctx context.Context, n *creation) error {
	if n.base.CaseTemplate == "" {
		return nil
	}
	tags, err := r.a.templates.tagsOf(ctx, r.hive, r.organisation, n.base.CaseTemplate)
	if err != nil && scopeOf(err) == scopeAll && !deniedList(err) {
		return err
	}
	for _, t := range tags {
		if !slices.Contains(n.base.Tags, t) {
			n.base.Tags = append(slices.Clone(n.base.Tags), t)
		}
	}
	n.sent.Tags = n.base.Tags
	n.tag()
	return nil
}
