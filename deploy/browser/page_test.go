package browser

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/accessibility"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/dom"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
)

// hostileEvent has a title that acts wherever it is not escaped.
const hostileEvent = `{"schema":"forager.detection/v1","id":"evil-1","time":"2026-03-02T08:12:40Z","title":"<img src=x onerror=alert(1)><script>alert(2)</script>","severity":4,"host":"evil01","techniques":["T1059.001"]}`

// TestThePage in a browser.
func TestThePage(t *testing.T) {
	s := newStage(t)
	t.Run("live, filters, a message by keyboard", s.live)
	t.Run("without a script", s.scriptless)
	t.Run("the matrix", s.matrix)
	t.Run("roles and names", s.named)
	for _, scheme := range []string{"light", "dark"} {
		for _, wide := range []int64{360, 1024, 1600} {
			t.Run(scheme+" "+map[int64]string{360: "360", 1024: "1024", 1600: "1600"}[wide], func(t *testing.T) { s.readable(t, wide, scheme) })
		}
	}
}

// shownRows are the rows that are seen.
const shownRows = `[...document.querySelectorAll("#live-recent tr[data-outcome]")].filter(r => r.checkVisibility()).length`

func (s *stage) live(t *testing.T) {
	ctx := s.tab(t, 1024, 900, "light", chromedp.Navigate(s.home()))
	until(t, ctx, `document.getElementById("live").textContent === "Live"`)
	if n := eval[int](t, ctx, shownRows); n < 80 {
		t.Fatalf("%d rows", n)
	}
	if n := eval[int](t, ctx, `document.scripts.length + 100 * document.images.length`); n != 1 {
		t.Errorf("scripts and images of somebody else: %d", n)
	}
	if !eval[bool](t, ctx, `[...document.querySelectorAll("a.open")].some(a => a.textContent.includes("<img src=x onerror=alert(1)>"))`) {
		t.Error("the hostile title is not there as text")
	}
	s.publish(`{"schema":"forager.detection/v1","id":"live-1","time":"2026-03-02T08:12:40Z","title":"It came while somebody looked","severity":2,"host":"live01"}`)
	until(t, ctx, `document.querySelector("#live-recent a.open").textContent.includes("It came while somebody looked")`)

	must(t, chromedp.Do(ctx, chromedp.SendKeys("#q", "LIVE01")))
	if n := eval[int](t, ctx, shownRows); n != 1 {
		t.Errorf("filtered by a host: %d rows", n)
	}
	must(t, chromedp.Do(ctx, chosen("", "dead letter")))
	if n := eval[int](t, ctx, shownRows); n != 1 {
		t.Errorf("filtered by dead letters: %d rows", n)
	}
	must(t, chromedp.Do(ctx, chosen("", "")))
	s.byKeyboard(t, ctx)
}

// byKeyboard opens a message and closes it; the focus comes back.
func (s *stage) byKeyboard(t *testing.T, c context.Context) {
	const first = `document.querySelector("#live-recent a.open")`
	must(t, chromedp.Do(c, do(first+`.focus()`), chromedp.KeyEvent(kb.Enter)))
	until(t, c, `document.querySelector("#opened .detection") !== null`)
	for _, want := range []string{"Case key", "Where values were found", "Description, as it opens a case", "live01"} {
		if !eval[bool](t, c, `document.getElementById("opened").textContent.includes("`+want+`")`) {
			t.Errorf("the message does not say %q", want)
		}
	}
	must(t, chromedp.Do(c, chromedp.KeyEvent(kb.Escape)))
	until(t, c, `!document.getElementById("opened").open`)
	if !eval[bool](t, c, `document.activeElement.id === `+first+`.id`) {
		t.Error("the focus did not come back")
	}
	must(t, chromedp.Do(c, chromedp.Click("#pause")))
	until(t, c, `document.getElementById("live").textContent === "Paused"`)
	s.publish(`{"schema":"forager.detection/v1","id":"live-2","time":"2026-03-02T08:12:40Z","title":"It came after","severity":2,"host":"live02"}`)
	must(t, chromedp.Do(c, chromedp.Click("#pause")))
	until(t, c, first+`.textContent.includes("It came after")`)
}

// chosen sets the filter as a hand does.
func chosen(text, outcome string) chromedp.Action[chromedp.Void] {
	return do(`q.value = "` + text + `"; outcome.value = "` + outcome + `"; outcome.dispatchEvent(new Event("change"))`)
}

// scriptless goes by keys and by what the document says alone: a browser without scripts answers no script of a test either.
func (s *stage) scriptless(t *testing.T) {
	ctx := s.tab(t, 1024, 900, "light", call(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}), chromedp.Navigate(s.home()))
	waitFor(t, ctx, func(text string) bool {
		return strings.Count(text, `class="open"`) >= 80 && strings.Contains(text, "worker dlq requeue") && strings.Contains(text, `class="tactic"`)
	})
	focus(t, ctx, "#q")
	must(t, chromedp.Do(ctx, chromedp.KeyEvent("evil01"), chromedp.KeyEvent(kb.Enter)))
	waitFor(t, ctx, func(text string) bool { return strings.Count(text, `class="open"`) == 1 })
	focus(t, ctx, "#live-recent a.open")
	must(t, chromedp.Do(ctx, chromedp.KeyEvent(kb.Enter)))
	waitFor(t, ctx, func(text string) bool {
		return strings.Contains(text, "&lt;script&gt;alert(2)&lt;/script&gt;") && strings.Contains(text, "Case key") && !strings.Contains(text, "<img")
	})
}

// source is the document as it is now; empty while another takes its place.
func source(ctx context.Context) string {
	root, err := chromedp.Call(ctx, dom.GetDocument, dom.GetDocumentParams{})
	if err != nil {
		return ""
	}
	text, err := chromedp.Call(ctx, dom.GetOuterHTML, dom.GetOuterHTMLParams{NodeID: root.Root.NodeID})
	if err != nil {
		return ""
	}
	return text.OuterHTML
}

// focus puts the focus on an element. A node's id ends with its document, which the next may replace just now: then it looks again.
func focus(t *testing.T, ctx context.Context, selector string) {
	t.Helper()
	waitFor(t, ctx, func(string) bool { return focused(ctx, selector) == nil })
}

func focused(ctx context.Context, selector string) error {
	root, err := chromedp.Call(ctx, dom.GetDocument, dom.GetDocumentParams{})
	if err != nil {
		return err
	}
	found, err := chromedp.Call(ctx, dom.QuerySelector, dom.QuerySelectorParams{NodeID: root.Root.NodeID, Selector: selector})
	if err != nil {
		return err
	}
	_, err = chromedp.Call(ctx, dom.Focus, dom.FocusParams{NodeID: found.NodeID})
	return err
}

// waitFor looks at the document until it is as it should be.
func waitFor(t *testing.T, ctx context.Context, right func(text string) bool) {
	t.Helper()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !right(source(ctx)) {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("the document is not as it should be")
		}
	}
}

func (s *stage) matrix(t *testing.T) {
	ctx := s.tab(t, 1600, 900, "light", chromedp.Navigate(s.home()))
	if n := eval[int](t, ctx, `document.querySelectorAll(".tactic").length`); n < 14 {
		t.Errorf("%d tactics", n)
	}
	const cell = `[...document.querySelectorAll(".matrix summary.cell")].find(c => c.textContent.startsWith("T1059 "))`
	if got := eval[string](t, ctx, cell+`.closest("li").className`); got == "shade-0" {
		t.Error("what was recorded is not shaded")
	}
	must(t, chromedp.Do(ctx, do(cell+`.focus()`), chromedp.KeyEvent(kb.Enter)))
	until(t, ctx, cell+`.parentElement.open && [...`+cell+`.parentElement.querySelectorAll("span.cell")].some(c => c.textContent.startsWith("T1059.001 ") && c.checkVisibility())`)
	must(t, chromedp.Do(ctx, chromedp.Click("#only")))
	if shown := eval[int](t, ctx, `[...document.querySelectorAll(".matrix .shade-0")].filter(c => c.checkVisibility()).length`); shown != 0 {
		t.Errorf("%d that were not recorded are shown", shown)
	}
	for _, query := range []string{"?domain=ics-attack", "?domain=mobile-attack", "?release=16.1"} {
		other := s.tab(t, 1024, 900, "light", chromedp.Navigate(s.home()+query))
		if n := eval[int](t, other, `document.querySelectorAll(".tactic").length`); n < 12 {
			t.Errorf("%s: %d tactics", query, n)
		}
	}
}

// named: whatever can be operated has a name, parts of the page have their roles.
func (s *stage) named(t *testing.T) {
	ctx := s.tab(t, 360, 800, "light", call(accessibility.Enable, cdp.Empty{}), chromedp.Navigate(s.home()))
	tree, err := chromedp.Call(ctx, accessibility.GetFullAXTree, accessibility.GetFullAXTreeParams{})
	must(t, err)
	roles := map[string]int{}
	for _, n := range tree.Nodes {
		if n.Ignored || n.Role == nil {
			continue
		}
		role, name := word(n.Role), word(n.Name)
		roles[role]++
		switch role {
		case "link", "button", "textbox", "searchbox", "combobox", "checkbox", "meter", "image", "img", "table", "region", "form", "search", "navigation", "heading", "dialog", "DisclosureTriangle", "columnheader":
			if name == "" {
				t.Errorf("a %s has no name (%s)", role, n.NodeID)
			}
		}
	}
	for role, least := range map[string]int{"main": 1, "banner": 1, "navigation": 1, "contentinfo": 1, "search": 1, "searchbox": 1, "combobox": 3, "checkbox": 1, "button": 2, "table": 3, "row": 80, "cell": 500, "columnheader": 5, "heading": 10, "status": 2, "meter": 1, "region": 5} {
		if roles[role] < least {
			t.Errorf("%d of the role %s, want %d: %v", roles[role], role, least, roles)
		}
	}
}

// readable: every text has the contrast that WCAG AA asks for, nothing scrolls sideways, and what may be touched is
// large enough (2.5.8: 24 pixels, or a link in a text).
func (s *stage) readable(t *testing.T, wide int64, scheme string) {
	ctx := s.tab(t, wide, 900, scheme, chromedp.Navigate(s.home()))
	until(t, ctx, `document.getElementById("live").textContent === "Live"`)
	if got := eval[int64](t, ctx, `document.documentElement.scrollWidth`); got > wide {
		t.Errorf("%d wide, of %d", got, wide)
	}
	if n := eval[int](t, ctx, `getComputedStyle(document.body).backgroundColor === "rgb(255, 255, 255)" ? 1 : 0`); (n == 1) != (scheme == "light") {
		t.Errorf("the scheme is not %s", scheme)
	}
	seen := eval[contrasts](t, ctx, contrastScript)
	t.Logf("%d texts, the least contrast %.2f", seen.Texts, seen.Least)
	if seen.Texts < 300 {
		t.Errorf("%d texts were looked at", seen.Texts)
	}
	for _, bad := range seen.Bad {
		t.Errorf("contrast: %s", bad)
	}
	for _, small := range eval[[]string](t, ctx, `[...document.querySelectorAll("button, input, select")].filter(e => e.checkVisibility() && (e.getBoundingClientRect().height < 17 || e.type !== "checkbox" && e.getBoundingClientRect().height < 24)).map(e => e.id)`) {
		t.Errorf("too small to touch: %s", small)
	}
	s.picture(t, ctx, wide, scheme)
}
