package apply_test

import (
	"bytes"
	"flag"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/draw"
	"image/png"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rogpeppe/go-internal/txtar"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/enrich/markdown/markdowntest"
	"forager/enrich/rules"
	"forager/hive/hivetest"
)

var pictures = flag.String("pictures", "", "directory for pictures of the cases of stories, taken with Chromium")

// TestP11StoriesTellWhatAnAnalystMustKnow: from the events of each story to its one case as it is rendered, and in that
// every line of the list.
func TestP11StoriesTellWhatAnAnalystMustKnow(t *testing.T) {
	t.Parallel()
	all, err := filepath.Glob("testdata/stories/*.txtar")
	if err != nil || len(all) < 6 {
		t.Fatalf("%d stories, %v", len(all), err)
	}
	for _, file := range all {
		name := strings.TrimSuffix(filepath.Base(file), ".txtar")
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			story, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			c := lived(t, story)
			rendered := renderedCase(t, c)
			said := markdowntest.Squeeze(markdowntest.Said(rendered))
			for line := range strings.Lines(string(section(story, "must"))) {
				if line = markdowntest.Squeeze(line); !strings.Contains(said, line) {
					t.Errorf("an analyst must know %q:\n%s", line, said)
				}
			}
			if len(c.Comments) > 20 {
				t.Errorf("%d comments", len(c.Comments))
			}
			if *pictures != "" {
				picture(t, filepath.Join(*pictures, name), rendered)
			}
		})
	}
}

// section is a file of a story; nil where it has none.
func section(story *txtar.Archive, name string) []byte {
	for _, f := range story.Files {
		if f.Name == name {
			return f.Data
		}
	}
	return nil
}

// lived sends the events of a story to a TheHive, a wave every five minutes, and gives the case.
func lived(t *testing.T, story *txtar.Archive) (c hivetest.Case) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, hivetest.Options{})
		e := s.worker(t)
		r := rules.Rules{}
		if key := section(story, "key"); key != nil {
			r.Routes = []rules.Route{{Name: "story", Key: strings.TrimSpace(string(key))}}
		}
		p, sequence := planner(t, r), uint64(0)
		for n := 1; ; n++ {
			events := section(story, fmt.Sprintf("events-%d.ndjson", n))
			if events == nil {
				break
			}
			var plans []enrich.Plan
			for line := range bytes.Lines(events) {
				got, err := decoder().Decode(detection.Message{Body: line, Time: day(9)})
				if err != nil || len(got.Detections) != 1 {
					t.Fatalf("%d detections in %.200s: %v", len(got.Detections), line, err)
				}
				sequence++
				plans = append(plans, planned(t, p, sequence, got.Detections[0]))
			}
			for _, some := range byQueue(plans) {
				mustApply(t, e, some)
			}
			wait(t.Context(), 5*time.Minute)
			if err := e.FlushComments(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		all := s.hive.Snapshot().Cases
		if len(all) != 1 {
			t.Fatalf("%d cases", len(all))
		}
		c = all[0]
	})
	return c
}

// byQueue parts plans by what they are applied by.
func byQueue(plans []enrich.Plan) map[string][]enrich.Plan {
	all := map[string][]enrich.Plan{}
	for _, p := range plans {
		all[p.Queue()] = append(all[p.Queue()], p)
	}
	return all
}

// renderedCase is a case as HTML: title, description, pages, comments.
func renderedCase(t *testing.T, c hivetest.Case) string {
	t.Helper()
	var b strings.Builder
	b.WriteString("<h1>#1 " + html.EscapeString(c.Title) + "</h1>\n<h2>Description</h2>\n" + markdowntest.Goldmark(t, c.Description))
	for _, p := range c.Pages {
		b.WriteString("<h2>Page “" + html.EscapeString(p.Title) + "”</h2>\n" + markdowntest.Goldmark(t, p.Content))
	}
	for i, text := range c.Comments {
		b.WriteString(fmt.Sprintf("<h2>Comment %d of %d</h2>\n", i+1, len(c.Comments)) + markdowntest.Goldmark(t, text))
	}
	return b.String()
}

const style = `<meta charset="utf-8"><style>
body{font:13px/1.4 "DejaVu Sans",sans-serif;margin:16px;width:1100px;color:#222}
h1{font-size:18px}h2{font-size:14px;background:#eef;padding:4px 8px}
table{border-collapse:collapse;font-size:11px}td,th{border:1px solid #ccc;padding:2px 6px;text-align:left;vertical-align:top}
code{font:11px "DejaVu Sans Mono",monospace;background:#f3f3f3}pre{background:#f3f3f3;padding:6px;max-height:160px;overflow:hidden}
</style>`

// picture takes a picture of rendered HTML with Chromium.
func picture(t *testing.T, name, rendered string) {
	t.Helper()
	page, err := filepath.Abs(name + ".html")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(page, []byte(style+rendered), 0o600); err != nil {
		t.Fatal(err)
	}
	defer os.Remove(page)
	out, err := exec.Command("chromium", "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1140,2300", "--screenshot="+strings.TrimSuffix(page, ".html")+".png", "file://"+page).CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	shrink(t, strings.TrimSuffix(page, ".html")+".png")
}

// shrink writes a picture with sixteen colours, without the empty rows at its end: that is all that a page needs.
func shrink(t *testing.T, name string) {
	t.Helper()
	raw, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	from, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	colours := color.Palette{color.RGBA{0xee, 0xee, 0xff, 0xff}, color.RGBA{0xf3, 0xf3, 0xf3, 0xff}, color.RGBA{0, 0, 0xee, 0xff}, color.RGBA{0x80, 0x80, 0xf4, 0xff}}
	for i := range 12 {
		colours = append(colours, color.Gray{uint8(255 * i / 11)})
	}
	to := image.NewPaletted(from.Bounds(), colours)
	draw.Draw(to, to.Bounds(), from, from.Bounds().Min, draw.Src)
	end := to.Bounds().Dy()
	for end > 100 && len(bytes.Trim(to.Pix[(end-1)*to.Stride:end*to.Stride], string(to.Pix[:1]))) == 0 {
		end--
	}
	var b bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, to.SubImage(image.Rect(0, 0, to.Bounds().Dx(), end+10))); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(name, b.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
}
