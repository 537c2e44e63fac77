package detection

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"forager/enrich/detection/tree"
)

func TestAnEventIsSaidAsItWasSent(t *testing.T) {
	d := mustNew(t, Options{Redact: []string{}})
	n := 0
	for _, file := range sampleFiles(t, "testdata") {
		body, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		r, err := d.Decode(Message{Body: body, Time: now})
		if err != nil {
			continue
		}
		for i, det := range r.Detections {
			said, again := det.Original.Read(), det.Original.ReadAll()
			if diff := cmp.Diff(said, again); diff != "" || said.Text == "" || len(said.Fields) == 0 {
				t.Errorf("%s, detection %d: says %q\n%s", filepath.Base(file), i, said.Text, diff)
			}
			var want, got any
			if said.JSON && said.Whole && len(r.Detections) == 1 && json.Unmarshal(body, &want) == nil && json.Unmarshal([]byte(said.Text), &got) == nil {
				if n++; !holdsValue(want, got) {
					t.Errorf("%s says another event:\n%s", filepath.Base(file), said.Text)
				}
			}
		}
	}
	if n < 100 {
		t.Errorf("%d events compared", n)
	}
}

// holdsValue tells whether a value is another, or somewhere in it: an envelope was around.
func holdsValue(all, one any) bool {
	if cmp.Equal(all, one) {
		return true
	}
	switch all := all.(type) {
	case map[string]any:
		for _, v := range all {
			if holdsValue(v, one) {
				return true
			}
		}
	case []any:
		for _, v := range all {
			if holdsValue(v, one) {
				return true
			}
		}
	case string:
		var inner any
		return json.Unmarshal([]byte(all), &inner) == nil && holdsValue(inner, one)
	}
	return false
}

func TestEachEventOfAMessageSaysItsOwn(t *testing.T) {
	d := mustNew(t, Options{})
	line := func(id string) string {
		return `{"schema":"forager.detection/v1","id":"` + id + `","time":"2026-11-28T04:00:00Z","title":"t","host":"h","key":"k"}`
	}
	r, err := d.Decode(Message{Body: []byte(line("a") + "\n" + line("b") + "\n" + line("a") + "\n" + line("c")), Time: now})
	if err != nil || len(r.Detections) != 3 {
		t.Fatal(err, len(r.Detections))
	}
	for _, det := range r.Detections {
		if got := det.Original.Read().Fields["id"]; got != det.ID {
			t.Errorf("%s says it is %v", det.ID, got)
		}
	}
}

func TestALineIsSaidAsALine(t *testing.T) {
	d := mustNew(t, Options{})
	line := `<134>Nov 28 04:00:00 fw01 CEF:0|Vendor|Product|1.0|100|Port scan|8|src=10.0.0.7 dst=10.0.0.8 dhost=web01 cs1Label=authToken cs1=x password=hunter2 msg=done`
	r, err := d.Decode(Message{Body: []byte(line), Time: now})
	if err != nil || len(r.Detections) != 1 {
		t.Fatal(err)
	}
	said := r.Detections[0].Original.Read()
	if want := strings.Replace(line, "hunter2", "(left out)", 1); said.Text != want || said.JSON || !said.Whole {
		t.Errorf("says %q, want %q", said.Text, want)
	}
}

func TestWhatIsRedactedIsNotSaid(t *testing.T) {
	body := `{"schema":"forager.detection/v1","id":"a","time":"2026-11-28T04:00:00Z","title":"t","host":"h","key":"k",
		"x":{"Access_Token":"s3cret","tokenType":"bearer","token":{"user":"anna"},"deep":{"password":["s3cret","s3cret"],"Authorization":12345}},
		"flat.client-secret":"s3cret","process":{"env":{"A":"s3cret"},"name":"p"},"n":[1,2.5,true,null,"é\u0007"]}`
	for name, c := range map[string]struct {
		redact []string
		want   map[string]any
	}{
		"by default": {nil, map[string]any{"x.tokenType": "bearer", "x.token.user": "anna", "process.env.A": "s3cret", "process.name": "p"}},
		"a path": {[]string{"process.env", "token"}, map[string]any{
			"x.tokenType": "bearer", "x.token.user": "anna", "x.deep.password": []any{"s3cret", "s3cret"}, "x.deep.Authorization": int64(12345), "flat.client-secret": "s3cret", "process.name": "p",
		}},
	} {
		r, err := mustNew(t, Options{Redact: c.redact}).Decode(Message{Body: []byte(body), Time: now})
		if err != nil {
			t.Fatal(err)
		}
		said := r.Detections[0].Original.Read()
		for _, own := range []string{"schema", "id", "time", "title", "host", "key"} {
			delete(said.Fields, own)
		}
		c.want["n"] = []any{int64(1), 2.5, true, "é\a"}
		if diff := cmp.Diff(c.want, said.Fields); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if want := strings.Count(said.Text, "s3cret"); c.redact == nil && want != 1 {
			t.Errorf("%s: %s", name, said.Text)
		}
	}
}

func TestALongEventIsCut(t *testing.T) {
	r, err := mustNew(t, Options{}).Decode(Message{Body: []byte(`{"schema":"forager.detection/v1","id":"a","time":"2026-11-28T04:00:00Z","title":"t","host":"h","key":"k","x":["` + strings.Repeat("éa", 50_000) + `","y"]}`), Time: now})
	if err != nil {
		t.Fatal(err)
	}
	said := r.Detections[0].Original.Read()
	if said.Whole || len(said.Text) > MaxOriginal+8 || len(said.Text) < MaxOriginal {
		t.Errorf("%d bytes, whole %v", len(said.Text), said.Whole)
	}
}

// TestWhatIsRedactedIsReadByNoFormat: whatever a format would make of it, whichever member of whichever sample is named.
func TestWhatIsRedactedIsReadByNoFormat(t *testing.T) {
	const mark = "Qx7hidden"
	n := 0
	for _, file := range sampleFiles(t, "testdata") {
		body, err := os.ReadFile(file)
		var doc map[string]any
		if err != nil || json.Unmarshal(body, &doc) != nil {
			continue
		}
		whole, err := mustNew(t, Options{Redact: []string{}}).Decode(Message{Body: body, Time: now})
		if err != nil || len(whole.Detections) != 1 {
			continue
		}
		var said map[string]any
		if json.Unmarshal([]byte(whole.Detections[0].Original.Read().Text), &said) != nil || !cmp.Equal(said, doc) {
			continue // there is an envelope, and paths are those of what is in it
		}
		for _, way := range waysOf(doc, "") {
			if !strings.Contains(way, ".") {
				continue // a name is every member that ends with it
			}
			var poisoned map[string]any
			if err := json.Unmarshal(body, &poisoned); err != nil || !replaceAt(poisoned, way, mark) {
				continue
			}
			hostile, err := json.Marshal(poisoned)
			if err != nil {
				t.Fatal(err)
			}
			r, err := mustNew(t, Options{Redact: []string{way}, Why: true}).Decode(Message{Body: hostile, Time: now})
			if err != nil {
				continue
			}
			for _, d := range r.Detections {
				n++
				said := d.Original.Read()
				d.Original = nil
				all, err := json.Marshal([]any{d, said.Text, said.Fields})
				if err != nil {
					t.Fatal(err)
				}
				if strings.Contains(string(all), mark) {
					t.Errorf("%s: %s is read or said: %s", file, way, all)
				}
			}
		}
	}
	t.Logf("%d detections", n)
	if n < 400 {
		t.Errorf("%d detections", n)
	}
}

// waysOf are the paths of the texts of a document, without lists.
func waysOf(doc map[string]any, way string) (all []string) {
	for k, v := range doc {
		switch v := v.(type) {
		case map[string]any:
			all = append(all, waysOf(v, way+k+".")...)
		case string:
			if len(v) < 200 && !strings.ContainsAny(v, "{[") {
				all = append(all, way+k)
			}
		}
	}
	return all
}

// replaceAt replaces the text at a path.
func replaceAt(doc map[string]any, way, text string) bool {
	for k, v := range doc {
		switch v := v.(type) {
		case map[string]any:
			if rest, ok := strings.CutPrefix(way, k+"."); ok && replaceAt(v, rest, text) {
				return true
			}
		case string:
			if way == k {
				doc[k] = text
				return true
			}
		}
	}
	return false
}

// TestAMemberIsPassedByOnlyWhereNothingNamesIt: the quick look says no more than the careful one.
func TestAMemberIsPassedByOnlyWhereNothingNamesIt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		word := rapid.StringMatching(`[A-Ca-c_ -]{0,4}`)
		names := rapid.SliceOfN(word, 0, 3).Draw(t, "names")
		paths := rapid.SliceOfN(rapid.StringMatching(`[a-c_]{1,2}\.[a-c_]{1,3}`), 0, 2).Draw(t, "paths")
		r, name := newRedaction(append(names, paths...)), word.Draw(t, "name")
		careful := r.named(name, tree.Text) || r.placed("", name) || r.placed("a", name) || r.placed("b_", name)
		if careful && !r.mayHide(name) {
			t.Fatalf("%q and %q leave out %q, which is passed by", names, paths, name)
		}
	})
}
