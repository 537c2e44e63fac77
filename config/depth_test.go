package config

import (
	"runtime"
	"strings"
	"testing"
)

// deepTexts are small files that cost a parser gigabytes, or minutes.
func deepTexts() map[string]string {
	return map[string]string{
		"lists": strings.Repeat("[", 60_000), "a megabyte of them": strings.Repeat("[", 1<<20), "closed": strings.Repeat("[", 9000) + strings.Repeat("]", 9000),
		"mappings": strings.Repeat("{a: ", 20_000), "entries of one line": "routes:\n" + strings.Repeat("- ", 60_000) + "a",
		"keys of one line": strings.Repeat("? ", 60_000), "behind a quoted bracket": strings.Repeat(`["]", `, 20_000),
		"anchors": strings.Repeat("&a ", 60_000), "tags": strings.Repeat("!!x ", 60_000),
	}
}

func TestADeepFileIsRefusedBeforeItIsParsed(t *testing.T) {
	for name, text := range deepTexts() {
		for where, s := range map[string]Source{
			"file":     {Name: "forager.yaml", Text: []byte(text)},
			"rules":    {Name: "forager.yaml", Text: []byte("rules: {files: [r.yaml]}\n"), ReadFile: func(string) ([]byte, error) { return []byte(text), nil }},
			"variable": {Env: []string{"FORAGER_ROUTES=" + text}},
		} {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			_, err := Load(s)
			runtime.ReadMemStats(&after)
			if err == nil {
				t.Errorf("%s in the %s: no error", name, where)
			}
			if used := (after.TotalAlloc - before.TotalAlloc) >> 20; used > 200 {
				t.Errorf("%s in the %s: %d MiB", name, where, used)
			}
		}
	}
}

func TestAnOrdinaryDepthIsRead(t *testing.T) {
	if _, err := Load(Source{Text: []byte("routes: [{name: a, case: {tags: [" + strings.Repeat(`"[[[[{{{{", `, 500) + "x]}}]\n")}); err != nil {
		t.Error(err)
	}
}
