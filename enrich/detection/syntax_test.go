package detection

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"forager/enrich/detection/malformed"
)

// TestSyntaxRefusesWhatNoFormatCouldRead: an intake is to tell the sender what would become a dead
// letter whatever formats there are.
func TestSyntaxRefusesWhatNoFormatCouldRead(t *testing.T) {
	t.Parallel()
	keys := make([]string, 100_000)
	for i := range keys {
		keys[i] = fmt.Sprintf(`"k%d":1`, i)
	}
	for name, c := range map[string]struct {
		body string
		want string // reason; empty is fit
	}{
		"an event":             {`{"a":1}`, ""},
		"several":              {`[{"a":1},{"a":2}]`, ""},
		"one a line":           {"{\"a\":1}\n{\"a\":2}\r\n", ""},
		"a syslog line":        {"<13>Oct 11 22:14:15 fw1 su: failed", ""},
		"CEF":                  {"CEF:0|a|b|1|100|worm|10|src=198.51.100.7", ""},
		"a broken byte":        {"{\"a\":\"\xff\"}", ""},
		"half an event":        {`{"a":{"b":`, malformed.InvalidJSON},
		"half of the second":   {"{\"a\":1}\n{\"a\":", malformed.InvalidJSON},
		"nothing":              {" \n", malformed.Empty},
		"prose":                {"hello", malformed.InvalidJSON},
		"an archive":           {"PK\x03\x04\x14\x00\x00\x00\x08\x00", malformed.InvalidJSON},
		"a picture":            {"\x89PNG\r\n\x1a\n\x00\xff", malformed.InvalidUTF8},
		"a hundred thousand":   {"{" + strings.Join(keys, ",") + "}", malformed.TooManyKeys},
		"deep":                 {strings.Repeat("[", 100_000), malformed.TooDeep},
		"a bomb, compressed":   {zipped(t, strings.Repeat("0", 64<<20)), malformed.TooLarge},
		"an event, compressed": {zipped(t, `{"a":1}`), ""},
	} {
		err := NewSyntax(Limits{}).Check([]byte(c.body))
		if got := reason(err); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

// TestSyntaxPassesAllThatIsRead: what the decoder reads, however odd, is not refused by the intake.
func TestSyntaxPassesAllThatIsRead(t *testing.T) {
	t.Parallel()
	syntax := NewSyntax(Limits{})
	files, err := filepath.Glob("testdata/*/*")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		body, err := os.ReadFile(name)
		if err != nil || strings.HasSuffix(name, ".golden") {
			continue
		}
		if err := syntax.Check(body); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func reason(err error) string {
	if m, ok := errors.AsType[*malformed.Error](err); ok {
		return m.Reason
	}
	return ""
}

func zipped(t *testing.T, text string) string {
	t.Helper()
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	if _, err := w.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.String()
}
