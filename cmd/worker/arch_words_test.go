package main

import (
	"go/ast"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// retired are words that the code does without, and the field's word for each: one word for one thing,
// in all packages. Who has renamed the last of a word adds it here.
var retired = []struct {
	words  string // one after the other, as an identifier joins them or a comment separates them
	rather string
}{
	{words: "seat", rather: "slot or semaphore"},
	{words: "seats", rather: "slots"},
	{words: "rival", rather: "contention"},
	{words: "rivals", rather: "contention"},
	{words: "heir", rather: "merged into"},
	{words: "heirs", rather: "merged into"},
	{words: "virgin", rather: "initialised"},
	{words: "tombed", rather: "deleted"},
	{words: "rehearse", rather: "dry run"},
	{words: "rehearsed", rather: "dry run"},
	{words: "rehearsal", rather: "dry run"},
	{words: "lesson", rather: "audit effect"},
	{words: "lessons", rather: "audit effects"},
	{words: "keep house", rather: "maintain"},
	{words: "housekeeper", rather: "what maintains"},
	{words: "tidy", rather: "flush"},
	{words: "bury", rather: "make a dead letter"},
	{words: "buries", rather: "makes a dead letter"},
	{words: "buried", rather: "dead letter"},
	{words: "burial", rather: "dead letter"},
	{words: "door", rather: "breaker"},
	{words: "doors", rather: "breakers"},
	{words: "enricher", rather: "applier"},
}

// TestNamesSayWhatTheFieldSays looks for retired words in what is declared and in comments. Texts of
// events and of people are free.
func TestNamesSayWhatTheFieldSays(t *testing.T) {
	sound := map[string]bool{} // identifiers come again and again
	for _, s := range sources(t) {
		if s.name == "cmd/worker/arch_words_test.go" {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			if id, ok := n.(*ast.Ident); ok && !sound[id.Name] {
				sound[id.Name] = len(retiredIn(id.Name)) == 0
				s.refuseWords(t, id, id.Name)
			}
			return true
		})
		for _, group := range s.file.Comments {
			s.refuseWords(t, group, group.Text())
		}
	}
}

// refuseWords tells of each retired word in a text.
func (s source) refuseWords(t *testing.T, at ast.Node, text string) {
	t.Helper()
	for _, i := range retiredIn(text) {
		t.Errorf("%s: %q: %s", s.where(at.Pos()), retired[i].words, retired[i].rather)
	}
}

// wordIn finds the words of texts and of identifiers.
var wordIn = regexp.MustCompile(`[A-Z]+[a-z]*|[a-z]+`)

// retiredIn gives the places in the table of the retired words that a text holds.
func retiredIn(text string) (found []int) {
	words := " " + strings.ToLower(strings.Join(wordIn.FindAllString(text, -1), " ")) + " "
	for i, r := range retired {
		if strings.Contains(words, " "+r.words+" ") {
			found = append(found, i)
		}
	}
	return found
}

func TestRetiredWordsAreFoundWhereTheyAre(t *testing.T) {
	for text, want := range map[string]string{
		"seats": "seats", "freeSeats": "seats", "Seats": "seats", "keepHouse": "keep house", "keeps house": "", "It keeps\nno rival at bay.": "rival",
		"repeats": "", "indoors": "", "arrival": "", "burial.done": "burial", "TheHeirsOf": "heirs", "their heirloom": "", "HTTPDoor": "",
	} {
		var got []string
		for _, i := range retiredIn(text) {
			got = append(got, retired[i].words)
		}
		if strings.Join(got, " ") != want {
			t.Errorf("%q holds %q, want %q", text, got, want)
		}
	}
	for i, r := range retired {
		if r.rather == "" || slices.ContainsFunc(retired[:i], func(before struct{ words, rather string }) bool { return before.words == r.words }) {
			t.Errorf("%q is there twice, or without a plainer word", r.words)
		}
	}
}
