package service

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"forager/cmd/worker/rulefiles"
	"forager/config"
	"forager/enrich/rules"
)

// A ConfigMap that is mounted changes in one moment: its files are links through a link, which is turned.
func TestATurnedConfigMapIsNoticed(t *testing.T) {
	dir := t.TempDir()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	version := func(name, text string) {
		must(os.Mkdir(filepath.Join(dir, name), 0o755))
		must(os.WriteFile(filepath.Join(dir, name, "forager.yaml"), []byte(text), 0o600))
	}
	version("..v1", "routes: [{name: a}]")
	version("..v2", "routes: [{name: b}]") // as long as the other
	must(os.Symlink("..v1", filepath.Join(dir, "..data")))
	file := filepath.Join(dir, "forager.yaml")
	must(os.Symlink(filepath.Join("..data", "forager.yaml"), file))

	w := rulefiles.NewWitness()
	if _, err := w.ReadFile(file); err != nil {
		t.Fatal(err)
	}
	if _, err := w.ReadFile(filepath.Join(dir, "not yet")); err == nil {
		t.Fatal("read what is not there")
	}
	if w.Differs(w.Again()) {
		t.Error("nothing changed, and it was noticed")
	}
	must(os.Symlink("..v2", filepath.Join(dir, "..data_tmp")))
	must(os.Rename(filepath.Join(dir, "..data_tmp"), filepath.Join(dir, "..data")))
	if !w.Differs(w.Again()) {
		t.Error("the turned link was not noticed")
	}
	w = w.Again()
	must(os.WriteFile(filepath.Join(dir, "not yet"), nil, 0o600))
	if !w.Differs(w.Again()) {
		t.Error("a file that was missing came, and was not noticed")
	}
}

func TestATableThatChangedIsNoticedAndAsked(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "assets.csv")
	write := func(owner string) {
		if err := os.WriteFile(file, []byte("host,owner\nweb01,"+owner+"\n"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := config.Default()
	c.Lookups = []config.Lookup{{Name: "assets", File: file, Key: "host"}}
	c.Routes = []config.Route{{Name: "r", Case: config.RouteCase{Title: "{{ lookup.assets[detection.host].owner }}"}}}
	owner := func(w *rulefiles.Witness) string {
		t.Helper()
		router, err := rulefiles.NewRouter(&c, w)
		if err != nil {
			t.Fatal(err)
		}
		return *router.Decide(rules.Seen{Host: "web01"}, time.Now()).Title
	}
	write("ann")
	w := rulefiles.NewWitness()
	if got := owner(w); got != "ann" || w.Differs(w.Again()) {
		t.Errorf("owner %q, changed %v", got, w.Differs(w.Again()))
	}
	write("bobby")
	if !w.Differs(w.Again()) {
		t.Error("the table changed, and it was not noticed")
	}
	if got := owner(w.Anew()); got != "bobby" {
		t.Errorf("owner %q", got)
	}
}
