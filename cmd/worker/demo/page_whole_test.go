package demo

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"forager/cmd/worker/events"
	"forager/cmd/worker/shell"
	"forager/cmd/worker/workertest"
)

// look asks the page of a stage.
func look(t *testing.T, pages http.Handler, path string) string {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	r.Host = "localhost"
	w := httptest.NewRecorder()
	pages.ServeHTTP(w, r)
	if w.Code != http.StatusOK {
		t.Errorf("%s: %d %.300s", path, w.Code, w.Body)
	}
	return w.Body.String()
}

// TestThePageShowsWhatPassed through the real pipeline: the message, why it is what it is, its case as an analyst sees
// it, the dead letter and the command for it, the replica, the technique; and nothing hostile acts in a case.
func TestThePageShowsWhatPassed(t *testing.T) {
	sh := &shell.Shell{In: strings.NewReader(""), Out: t.Output(), Err: t.Output()}
	s, err := newStage(t.Context(), sh, &demoCmd{Calm: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { workertest.Must(t, s.Close()) }()
	text := `{"schema":"forager.detection/v1","id":"d-1","time":"2026-03-02T08:12:40Z","title":"<script>alert(1)</script> ![x](http://evil.example/x.png)","severity":3,"host":"web01","techniques":["T1059.001"]}` + "\n" + `{"schema":` + "\n"
	workertest.Must(t, s.publish(t.Context(), nil, sh, events.Of([]string{"-"}, strings.NewReader(text))))
	workertest.Must(t, s.settle(t.Context(), nil))
	pages := s.pages()
	home := look(t, pages, "/")
	for _, want := range []string{
		"&lt;script&gt;alert(1)&lt;/script&gt;", `<a href="/cases/1"`, "web01", "T1059.001", "worker dlq requeue --reason &#39;invalid json&#39;",
		"Work gets done", "consuming", "(this one)", "PowerShell", "1 procedures in TheHive",
	} {
		if !strings.Contains(home, want) {
			t.Errorf("the page has no %s", want)
		}
	}
	for _, path := range []string{"/page/message/1", "/page/message/2"} {
		message := look(t, pages, path)
		if !strings.Contains(message, "Description, as it opens a case") && !strings.Contains(message, "No case: invalid json") {
			t.Errorf("%s does not say what becomes of it, and why", path)
		}
	}
	if analyst := look(t, pages, "/cases/1"); !strings.Contains(analyst, "class=\"rendered\"") || regexp.MustCompile(`<(script>|img)`).MatchString(analyst) {
		t.Errorf("the case: %s", analyst)
	}
	look(t, pages, "/cases/")
	if layer := look(t, pages, "/page/layer.json"); !strings.Contains(layer, `"techniqueID": "T1059.001"`) {
		t.Errorf("layer %s", layer)
	}
}
