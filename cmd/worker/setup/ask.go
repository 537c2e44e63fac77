package setup

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"golang.org/x/term"

	"forager/cmd/worker/shell"
)

// questions are asked at a terminal.
type questions struct {
	in     *bufio.Reader
	out    io.Writer
	hidden func() (string, error) // reads a line that is not shown
}

// questionsOf gives nil where nobody sits at a terminal.
func questionsOf(sh *shell.Shell) *questions {
	f, ok := sh.In.(*os.File)
	if !ok || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return &questions{in: bufio.NewReader(f), out: sh.Err, hidden: func() (string, error) {
		text, err := term.ReadPassword(int(f.Fd()))
		return string(text), err
	}}
}

// errEnded says that the terminal was closed before the last answer.
var errEnded = errors.New("no answer")

// line asks for a text. An empty answer is the usual one.
func (q *questions) line(what, usual string) (string, error) {
	fmt.Fprintf(q.out, "%s [%s]: ", what, usual)
	text, err := q.in.ReadString('\n')
	if err != nil && text == "" {
		return "", errEnded
	}
	if text = strings.TrimSpace(text); text == "" {
		return usual, nil
	}
	return text, nil
}

// secret asks for a text that is not shown.
func (q *questions) secret(what string) (string, error) {
	fmt.Fprintf(q.out, "%s: ", what)
	text, err := q.hidden()
	fmt.Fprintln(q.out)
	if err != nil {
		return "", fmt.Errorf("read the answer: %w", err)
	}
	return strings.TrimSpace(text), nil
}

// Words of answers.
const (
	none = "none"
	yes  = "yes"
)

// ask asks for what no flag told.
func (a *answers) ask(q *questions) error {
	for _, s := range []struct {
		into        *string
		what, usual string
	}{
		{&a.nats, "Address of NATS", defaultNATS},
		{&a.hive, "Address of TheHive", defaultHive},
	} {
		if *s.into != "" || s.into == &a.nats && a.context != "" {
			continue
		}
		var err error
		if *s.into, err = q.line(s.what, s.usual); err != nil {
			return err
		}
	}
	if a.keyFile == "" {
		key, err := q.secret("API key of Forager's account in TheHive (not shown; empty: you write it into " + keyName + " later)")
		if err != nil {
			return err
		}
		a.key = key
	}
	return a.askMore(q)
}

// askMore asks for what may be left as it is.
func (a *answers) askMore(q *questions) error {
	if !a.ownStreams {
		manage, err := q.line("May Forager make its streams in NATS?", yes)
		if err != nil {
			return err
		}
		a.ownStreams = !slices.Contains([]string{yes, "y"}, strings.ToLower(manage))
	}
	if a.organisation == "" {
		organisation, err := q.line("Organisation that gets the cases", ownOrganisation)
		if err != nil {
			return err
		}
		if organisation != ownOrganisation {
			a.organisation = organisation
		}
	}
	if a.forwarder != "" {
		return nil
	}
	name, err := q.line("First sender over HTTP ("+strings.Join(forwarderNames(), ", ")+")", none)
	if err != nil {
		return err
	}
	if name == none {
		return nil
	}
	a.forwarder = name
	a.intake, err = q.line("Where this sender reaches Forager, HOST:PORT", defaultIntake)
	return err
}

const ownOrganisation = "the account's own"
