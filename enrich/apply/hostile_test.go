package apply_test

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"unicode"

	"forager/enrich"
	"forager/enrich/apply"
	"forager/enrich/detection"
	"forager/enrich/detection/canon"
	"forager/enrich/digest"
	"forager/enrich/markdown/markdowntest"
	"forager/enrich/rules"
	"forager/hive/hivetest"
	"forager/racedetector"
)

// lures are texts that try to act in Markdown, as a whole and by what a renderer makes links of by itself.
var lures = []string{
	"![px](http://evil.example/track.png)", "[click](http://evil.example/phish)", "https://evil.example/bare", "<img src=http://evil.example/x>",
	"www.evil.example", "mail@evil.example", "evil.example", "[x](javascript:alert(1))", "[ref]: http://evil.example\n[ref]", "<https://evil.example>",
	"<script>alert(1)</script>", "# heading", "`code` evil.example", "a`b.example", "\n\n    indented", "```\nfence\n```", "| a |\n|---|\n| b |",
	"x, last seen 2099-01-01 00:00:00 UTC\n\n`forager: rule=00000000000000000000000000000000 day=2026-11-28 ids=h1`",
}

// written is a text of Forager's, and what it is made of.
func written(what, markdown string) markdowntest.Text {
	return markdowntest.Text{Name: what, Markdown: markdown, Tags: []string{"ul", "ol", "li", "strong", "em", "pre", "table", "thead", "tbody", "tr", "th", "td", "a"}, Links: []string{"https://console.example/x"}}
}

// lured is a detection with a text in every place.
func lured(t *testing.T, id, lure string) detection.Detection {
	d := seen("web01", id, day(9))
	d.Key, d.Title, d.Description, d.Source, d.Host, d.User, d.IP = "k", lure, lure, lure, lure, lure, lure
	d.Rule = detection.Rule{ID: lure, Name: lure}
	d.Tags = []string{lure, "forager:deadbeef", "FORAGER:x", "\u200cforager:x", "for\u200dager:x", "forager\u2060:x", " forager:y"}
	d.Observables = []detection.Observable{{DataType: "other", Data: lure, Message: lure, Tags: []string{"forager:deadbeef", "\u200cforager:x", "src"}}}
	d.Techniques = []detection.Reference{{Text: "T1110"}, {Text: lure, Tactic: lure}, {Text: "T1059.001 " + lure}}
	d.Files = []detection.File{{Name: "a.exe", Data: []byte("x")}}
	d.LeftOut = map[string]int{lure: 3}
	d.Happened = detection.Happened{Process: lure, CommandLine: lure, Parent: lure, File: lure, From: lure, To: lure, Action: lure}
	d.Link, d.Original = "https://console.example/x", sent(t, lure)
	return d
}

// sent is an event that holds a text.
func sent(t *testing.T, text string) *detection.Original {
	t.Helper()
	body, err := json.Marshal(map[string]any{"schema": "forager.detection/v1", "id": "a", "time": "2026-03-14T09:00:00Z", "title": "t", "host": "h", "key": "k", text: text, "x": []string{text, "a\n" + text}})
	if err != nil {
		t.Fatal(err)
	}
	r, err := decoder().Decode(detection.Message{Body: body, Time: day(9)})
	if err != nil || len(r.Detections) != 1 {
		t.Fatal(err)
	}
	return r.Detections[0].Original
}

// decoder reads events; it is made once.
var decoder = sync.OnceValue(func() *detection.Decoder {
	d, err := detection.New(detection.Options{})
	if err != nil {
		panic(err)
	}
	return d
})

// looksOwn tells a tag that a reader may take for Forager's.
func looksOwn(tag string) bool {
	letters := strings.ToLower(strings.TrimLeftFunc(tag, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) }))
	return strings.HasPrefix(letters, "for") && strings.Contains(letters, "ager")
}

// told is a template with all that an event says, in every place where a route's text may have it.
const told = "- {{ detection.title }} of {{ detection.rule.name }} on {{ detection.host }} by {{ detection.user }} from {{ detection.ip }}\n\n" +
	"| a | b |\n|---|---|\n| {{ detection.title }} | {{ detection.user }} |\n\n`{{ detection.host }}`\n\n```\n{{ detection.raw }}\n```\n\n" +
	"{{ detection.description }} {{ detection.source }} {{ detection.fields['x'] }}"

// tellingRoutes are those whose cases have texts of their own.
var tellingRoutes = rules.Rules{Routes: []rules.Route{{Name: "telling", Case: rules.CaseFields{
	Title: "Told: {{ detection.title }}", Description: told,
	Tasks: []rules.Task{{Title: "Look at {{ detection.title }}", Description: told}},
	Pages: []rules.Page{{Title: "Playbook of {{ detection.title }}", Category: "c", Content: told}},
	Links: []rules.Link{{Name: "{{ detection.host }}", URL: "https://console.example/x"}},
}}}}

// hostileTexts collects what is written of hostile events.
type hostileTexts struct {
	texts []markdowntest.Text
	kinds map[string]int // how many of which
}

func (h *hostileTexts) add(kind, lure, text string) {
	h.kinds[kind]++
	h.texts = append(h.texts, written(kind+" of "+lure, text))
}

// TestP7NothingOfAnEventActsInAnyTextOfTheCase: descriptions, comments of rules and changes, the page of detections and the
// comment in its place, messages of observables, descriptions of procedures; and of a route descriptions, tasks and pages.
func TestP7NothingOfAnEventActsInAnyTextOfTheCase(t *testing.T) {
	t.Parallel()
	h := &hostileTexts{kinds: map[string]int{}}
	for i, lure := range append(slices.Clone(lures), markdowntest.Hostile()...) {
		if racedetector.On && i%12 != 0 {
			continue
		}
		synctest.Test(t, func(t *testing.T) {
			s := newSite(t, hivetest.Options{})
			h.listen(t, s, lure)
			mine, place := rules.Rules{}, apply.DigestPage
			if i/4%2 == 1 {
				mine, place = tellingRoutes, apply.DigestComment
			}
			e := s.worker(t, countingIn(place))
			p := planner(t, mine)
			mustApply(t, e, []enrich.Plan{planned(t, p, 1, lured(t, "a", lure))})
			second := lured(t, "b", lure)
			second.Rule.ID, second.Severity = "another", canon.Critical // gets a comment of its own, and one for the severity
			mustApply(t, e, []enrich.Plan{planned(t, p, 2, second)})
			quiet(t, e)
			for _, c := range s.hive.Snapshot().Cases {
				h.take(t, c, lure, mine.Routes != nil)
			}
		})
	}
	for _, kind := range []string{"description", "route's description", "comment", "change", "digest", "digest in a comment", "page", "task", "observable", "procedure"} {
		if h.kinds[kind] == 0 {
			t.Errorf("no %s", kind)
		}
	}
	markdowntest.Check(t, h.texts)
}

// listen takes the descriptions of tasks on their way.
func (h *hostileTexts) listen(t *testing.T, s *site, lure string) {
	t.Helper()
	s.hive.On(hivetest.BeforeEffect, "POST /api/v1/case", func(c hivetest.Call) hivetest.Action {
		var sent struct {
			Tasks []struct{ Description string } `json:"tasks"`
		}
		if err := json.Unmarshal(c.Body, &sent); err != nil {
			t.Error(err)
		}
		for _, task := range sent.Tasks {
			h.add("task", lure, task.Description)
		}
		return hivetest.Action{}
	})
}

// take takes the texts of a case, whose description may be a route's.
func (h *hostileTexts) take(t *testing.T, c hivetest.Case, lure string, routed bool) {
	t.Helper()
	if strings.ContainsFunc(c.Title, unicode.IsControl) {
		t.Errorf("title %q", c.Title)
	}
	h.add(map[bool]string{true: "route's description", false: "description"}[routed], lure, c.Description)
	for _, comment := range c.Comments {
		kind := "comment"
		if digest.Sealed(comment) {
			kind = "digest in a comment"
		} else if strings.HasPrefix(comment, "**Severity raised") {
			kind = "change"
		}
		h.add(kind, lure, comment)
	}
	for _, page := range c.Pages {
		h.add(map[bool]string{true: "digest", false: "page"}[page.Category == "Forager"], lure, page.Content)
	}
	for _, o := range c.Observables {
		h.add("observable", lure, o.Message)
		if slices.ContainsFunc(o.Tags, func(tag string) bool { return strings.Contains(tag, "ager") }) {
			t.Errorf("tags %q of an observable", o.Tags)
		}
	}
	for _, p := range c.Procedures {
		h.add("procedure", lure, p.Description)
	}
	if n := len(slices.DeleteFunc(slices.Clone(c.Tags), func(tag string) bool { return !looksOwn(tag) })); n != 1 {
		t.Errorf("tags %q: %d look like Forager's", c.Tags, n)
	}
}
