package stream

import (
	"strings"
	"testing"
	"unicode/utf8"

	"pgregory.net/rapid"
)

func TestSubjectsCoverSubjects(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		wide, narrow string
		want         bool
	}{
		{">", "a", true}, {">", ">", true}, {"a.>", "a", false}, {"a.>", "a.b.c", true}, {"a.>", "a.>", true}, {"a.*", "a.>", false},
		{"a.*", "a.b", true}, {"a.*", "a.*", true}, {"a.b", "a.*", false}, {"*.b", "a.b", true}, {"a", "a.b", false}, {"a.b", "a", false}, {"a.*.c", "a.>", false},
	} {
		if got := Covers(c.wide, c.narrow); got != c.want {
			t.Errorf("%s covers %s: %v", c.wide, c.narrow, got)
		}
	}
}

func TestTextsAreCutAtARunesBorder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		most int
		want string
	}{{"abc", 3, "abc"}, {"abc", 2, "ab"}, {"aé", 2, "a"}, {"é", 1, ""}, {"é", 0, ""}, {"", 0, ""}} {
		if got := Cut(c.text, c.most); got != c.want {
			t.Errorf("%q cut to %d is %q, want %q", c.text, c.most, got, c.want)
		}
	}
}

func TestALineHasNoControlCharacters(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		got := OneLine(string(rapid.SliceOf(rapid.Byte()).Draw(t, "text")))
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool { return r < ' ' || r == 0x7F || r == 0x85 }) {
			t.Fatalf("%q", got)
		}
	})
	if got := OneLine("a\r\nb\xff"); got != "a  b\uFFFD" {
		t.Errorf("%q", got)
	}
}
