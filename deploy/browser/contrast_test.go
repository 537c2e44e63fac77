package browser

import (
	"encoding/json"

	"github.com/chromedp/cdproto/accessibility"
)

// word is a text of the accessibility tree.
func word(v *accessibility.Value) string {
	if v == nil {
		return ""
	}
	var text string
	_ = json.Unmarshal(v.Value, &text) // another kind of value is no text
	return text
}

// contrasts are what contrastScript finds.
type contrasts struct {
	Texts int      `json:"texts"`
	Least float64  `json:"least"`
	Bad   []string `json:"bad"`
}

// contrastScript computes WCAG's contrast of every text that is seen with what lies behind it: 4.5, of large texts 3.
const contrastScript = `(() => {
  const rgb = (c) => { const n = c.match(/[\d.]+/g).map(Number); return n.length === 3 ? [...n, 1] : n; };
  const over = (a, b) => [0, 1, 2].map((i) => a[i] * a[3] + b[i] * (1 - a[3])).concat(1);
  const lum = (c) => { const [r, g, b] = c.map((v) => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (e) => { let stack = []; for (; e; e = e.parentElement) { const c = rgb(getComputedStyle(e).backgroundColor); stack.push(c); if (c[3] === 1) break; }
    return stack.reverse().reduce((below, c) => over(c, below), [255, 255, 255, 1]); };
  const out = { texts: 0, least: 21, bad: [] };
  const walk = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walk.nextNode()) {
    const e = walk.currentNode.parentElement;
    if (!walk.currentNode.textContent.trim() || !e.checkVisibility() || e.closest("svg, meter, option, .skip")) continue;
    const style = getComputedStyle(e), back = behind(e), front = over(rgb(style.color), back);
    const [a, b] = [lum(front), lum(back)].sort((x, y) => y - x), ratio = (a + 0.05) / (b + 0.05);
    const size = parseFloat(style.fontSize), large = size >= 24 || size >= 18.66 && Number(style.fontWeight) >= 700;
    out.texts++;
    out.least = Math.min(out.least, ratio);
    if (ratio < (large ? 3 : 4.5) && out.bad.length < 10) out.bad.push(ratio.toFixed(2) + " of <" + e.tagName.toLowerCase() + " class=" + e.className + "> " + walk.currentNode.textContent.trim().slice(0, 40));
  }
  return out;
})()`
