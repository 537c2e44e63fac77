package enrich_test

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"forager/enrich"
	"forager/enrich/detection"
	"forager/enrich/markdown/markdowntest"
	"forager/enrich/rules"
)

// TestP7HostileTextInEveryFieldOfEveryFormat puts each text of the corpus into every text of samples of all
// formats, and renders what is written of them.
func TestP7HostileTextInEveryFieldOfEveryFormat(t *testing.T) {
	t.Parallel()
	decoder, err := detection.New(detection.Options{})
	if err != nil {
		t.Fatal(err)
	}
	p, corpus := planner(t, rules.Rules{}), markdowntest.Hostile()
	var texts []markdowntest.Text
	next, formats := 0, map[string]bool{}
	for _, file := range samples(t) {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for range 8 { // so that every text meets some format, and every format many texts
			attack := corpus[next%len(corpus)]
			next++
			var doc any
			if json.Unmarshal(body, &doc) != nil {
				continue // lines: their texts are those of JSON, once they are read
			}
			hostile, err := json.Marshal(poison(doc, attack))
			if err != nil {
				t.Fatal(err)
			}
			r, err := decoder.Decode(detection.Message{Body: hostile, Time: day(9)})
			if err != nil {
				continue // so poisoned that nothing knows it
			}
			for _, d := range r.Detections {
				plan, err := p.Plan(d, enrich.Origin{Time: day(9)})
				if err != nil {
					continue
				}
				formats[d.Format] = true
				texts = append(texts, ours(file+" description", plan.Description(), d.Link))
				for _, o := range plan.Observables[:min(len(plan.Observables), 2)] {
					texts = append(texts, ours(file+" observable", o.Message, ""))
				}
			}
		}
	}
	if next < len(corpus) || len(formats) < 60 {
		t.Errorf("%d texts in %d formats", next, len(formats))
	}
	markdowntest.Check(t, texts)
}

// ours is a text of Forager's and what it is made of.
func ours(what, text, link string) markdowntest.Text {
	x := markdowntest.Text{Name: what, Markdown: text, Tags: []string{"strong", "em", "table", "thead", "tbody", "tr", "th", "td", "pre", "ul", "li"}}
	if link != "" {
		x.Tags = append(x.Tags, "a")
		x.Links = []string{link, percent.Replace(link)}
	}
	return x
}

// percent is how renderers write what addresses may not hold.
var percent = strings.NewReplacer("|", "%7C", "[", "%5B", "]", "%5D", "^", "%5E", "{", "%7B", "}", "%7D")

func samples(t *testing.T) (all []string) {
	t.Helper()
	err := filepath.WalkDir("detection/testdata", func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() && filepath.Ext(path) == ".json" {
			all = append(all, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// poison appends a text to every text of a document but those that say what it is.
func poison(v any, attack string) any {
	switch v := v.(type) {
	case map[string]any:
		for k, x := range v {
			switch strings.ToLower(strings.ReplaceAll(k, "_", "")) {
			case "schema", "@odata.type", "category", "eventtype", "kind", "type", "specversion", "alerttype", "sourcetype", "index", "channel", "action", "alertstate":
			default:
				v[k] = poison(x, attack)
			}
		}
	case []any:
		for i := range v {
			v[i] = poison(v[i], attack)
		}
	case string:
		return v + attack
	}
	return v
}
