package hive

import (
	"fmt"
	"regexp"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"
)

// What TheHive stores at most, in UTF-16 code units, in which its runtime
// counts the length of a text (TheHive's OpenAPI 5.5.13). An emoji is two.
const (
	// MaxTitle bounds the title of a case and of a page.
	MaxTitle = 512
	// MaxTaskTitle bounds the title of a task.
	MaxTaskTitle = 128
	// MaxTaskGroup bounds the group of a task.
	MaxTaskGroup = 64
	// MaxTag bounds a tag.
	MaxTag = 128
	// MaxValue bounds the value of an observable.
	MaxValue = 4096
	// MaxText bounds descriptions, summaries, messages, comments, page contents.
	MaxText = 1 << 20
	// MaxName bounds statuses, data types and custom field names.
	MaxName = 64
	// MaxLogin bounds logins, case templates, page categories, catalogues, pattern ids.
	MaxLogin = 128
	// MaxTactic bounds the short name of a tactic.
	MaxTactic = 32
	// MaxTaskStatus bounds the status of a task.
	MaxTaskStatus = 16
	// MaxPassword bounds the password of an archive.
	MaxPassword = 512
	// MaxFileName bounds the name of an uploaded file; TheHive names no limit.
	MaxFileName = 255
)

// Units is the length of a text as TheHive counts it: in UTF-16 code units.
func Units(text string) int {
	n := 0
	for _, r := range text {
		n += max(1, utf16.RuneLen(r)) // RuneLen is -1 for what becomes U+FFFD
	}
	return n
}

// Truncate is the longest beginning of text that has at most limit units (see
// [Units]) and does not end within a character.
func Truncate(text string, limit int) string {
	n := 0
	for i, r := range text {
		if n += max(1, utf16.RuneLen(r)); n > limit {
			return text[:i]
		}
	}
	return text
}

// Shapes of path parameters. Nothing else reaches a path, so nothing needs to
// be escaped there.
var (
	idShape         = regexp.MustCompile(`^~[0-9]{1,20}$`)
	idOrNumberShape = regexp.MustCompile(`^(~[0-9]{1,20}|[1-9][0-9]{0,9})$`)
	patternShape    = regexp.MustCompile(`^(~[0-9]{1,20}|[A-Za-z0-9]+([._-][A-Za-z0-9]+)*)$`)
	attachmentShape = regexp.MustCompile(`^(~[0-9]{1,20}|[0-9a-f]{32,128})$`)
)

// loginShape is a mail address, roughly as TheHive's description has it.
var loginShape = regexp.MustCompile(`^[^()\[\]\\.,;:\s@"]+(\.[^()\[\]\\.,;:\s@"]+)*@([A-Za-z0-9-]+\.)+[A-Za-z]{2,}$`)

// ValidLogin reports whether TheHive takes a text for a login: a mail address of
// at most MaxLogin units.
func ValidLogin(login string) bool { return Units(login) <= MaxLogin && loginShape.MatchString(login) }

// checkID refuses what is no id ("~" and digits).
func checkID(op, field, id string) error {
	if idShape.MatchString(id) {
		return nil
	}
	return invalid(op, field, "must be ~ and digits, is "+quote(id))
}

// checkIDs refuses an empty list and every id that is none.
func checkIDs(op string, ids []string) error {
	if len(ids) == 0 {
		return invalid(op, "ids", "is empty")
	}
	for i, id := range ids {
		if err := checkID(op, "ids["+strconv.Itoa(i)+"]", id); err != nil {
			return err
		}
	}
	return nil
}

// checkCase refuses what is neither id nor number of a case.
func checkCase(op, idOrNumber string) error {
	if idOrNumberShape.MatchString(idOrNumber) {
		return nil
	}
	return invalid(op, "case", "must be ~ and digits or a number, is "+quote(idOrNumber))
}

// quote shows a hostile value shortened and harmless.
func quote(s string) string { return strconv.QuoteToASCII(Truncate(s, 64)) }

// rule is one check of a text before it is sent.
type rule struct {
	field    string
	text     string
	min, max int
}

// checkTexts applies rules in order and reports the first that is broken.
func checkTexts(op string, rules ...rule) error {
	for _, r := range rules {
		n := Units(r.text)
		switch {
		case n < r.min:
			return invalid(op, r.field, "is empty")
		case n > r.max:
			return invalid(op, r.field, fmt.Sprintf("has %d characters, TheHive takes %d", n, r.max))
		case !utf8.ValidString(r.text):
			return invalid(op, r.field, "is not valid UTF-8")
		}
	}
	return nil
}

// optionalText is a rule for a field that may be left out.
func optionalText(field string, text *string, least, most int) rule {
	if text == nil {
		return rule{field: field}
	}
	return rule{field, *text, least, most}
}

// notEmpty refuses a change that changes nothing.
func notEmpty(op string, body map[string]any) error {
	if len(body) == 0 {
		return invalid(op, "update", "changes nothing")
	}
	return nil
}

// checkTags refuses tags that are empty or too long.
func checkTags(op, field string, tags []string) error {
	for i, tag := range tags {
		if err := checkTexts(op, rule{field + "[" + strconv.Itoa(i) + "]", tag, 1, MaxTag}); err != nil {
			return err
		}
	}
	return nil
}

// checkLevels refuses a severity, TLP or PAP that does not exist.
func checkLevels(op string, severity, tlp, pap *int) error {
	for _, l := range []struct {
		field       string
		value       *int
		least, most int
	}{{"severity", severity, 1, 4}, {"tlp", tlp, 0, 4}, {"pap", pap, 0, 3}} {
		if l.value != nil && (*l.value < l.least || *l.value > l.most) {
			return invalid(op, l.field, fmt.Sprintf("must be %d to %d, is %d", l.least, l.most, *l.value))
		}
	}
	return nil
}

// checkDates refuses moments before 1970, which are a mistake of unit or sign.
func checkDates(op string, dates ...Millis) error {
	for _, d := range dates {
		if d < 0 {
			return invalid(op, "date", "is before 1970")
		}
	}
	return nil
}

// Millis is a moment in TheHive's unit: milliseconds since 1970-01-01, UTC.
// The zero value means "none": TheHive leaves unset dates out of its answers,
// and so do the requests made here.
type Millis int64

// MillisOf is the moment t, cut to the millisecond; the zero time is 0, none.
func MillisOf(t time.Time) Millis {
	if t.IsZero() {
		return 0
	}
	return Millis(t.UnixMilli())
}

// Time is the moment in UTC; 0, none, is the zero time.
func (m Millis) Time() time.Time {
	if m == 0 {
		return time.Time{}
	}
	return time.UnixMilli(int64(m)).UTC()
}
