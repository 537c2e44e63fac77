package terminal

import (
	"slices"
	"strings"

	"github.com/fatih/color"
)

// Meaning is what a text says to its reader. Commands name meanings, never colours.
type Meaning int

// The meanings.
const (
	Plain   Meaning = iota
	Good            // as it should be
	Warning         // somebody should look at it, but not now
	Bad             // somebody must do something
	Faint           // beside the point
	Heading         // names what stands below or beside it
)

var styles = [...][]color.Attribute{
	Plain: nil, Good: {color.FgGreen}, Warning: {color.FgYellow}, Bad: {color.FgRed, color.Bold}, Faint: {color.Faint}, Heading: {color.Bold},
}

// Of is a text with this meaning.
func (m Meaning) Of(text string) Span { return Span{text, m} }

// paint colours a text that is clean.
func paint(text string, m Meaning) string {
	if m == Plain || text == "" {
		return text
	}
	c := color.New(styles[m]...)
	c.EnableColor()
	return c.Sprint(text)
}

// coloured decides whether there are colours. What comes first decides: FORCE_COLOR (0 and false mean none), NO_COLOR,
// CLICOLOR_FORCE; otherwise a terminal has them, unless CLICOLOR is 0 or TERM is dumb. An empty variable is not set.
func coloured(env []string, terminal bool) bool {
	if force := variable(env, "FORCE_COLOR"); force != "" {
		return !slices.Contains([]string{"0", "false"}, strings.ToLower(force))
	}
	if variable(env, "NO_COLOR") != "" {
		return false
	}
	if force := variable(env, "CLICOLOR_FORCE"); force != "" && force != "0" {
		return true
	}
	return terminal && variable(env, "CLICOLOR") != "0" && variable(env, "TERM") != "dumb"
}

// variable gives the last value of an environment variable.
func variable(env []string, name string) (value string) {
	for _, v := range env {
		if n, text, _ := strings.Cut(v, "="); n == name {
			value = text
		}
	}
	return value
}
