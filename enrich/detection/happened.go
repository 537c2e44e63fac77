package detection

import (
	"cmp"
	"net/url"
	"strings"

	"forager/enrich/detection/canon"
	"forager/enrich/detection/formats"
)

// texts are what happened, in the order of happenedRule.fields.
func (h *Happened) texts() []*string {
	return []*string{&h.Process, &h.CommandLine, &h.Parent, &h.File, &h.From, &h.To, &h.Action}
}

// happenedNames are the names of the fields, for the origins of values.
var happenedNames = [...]string{"process", "commandLine", "parent", "file", "from", "to", "action"}

// maxCommandLine is how long, in characters, a command line is kept.
const maxCommandLine = 4096

// happened reads what the sender says of what happened.
func (e *event) happened(r *formats.HappenedRule) {
	texts := e.det.Happened.texts()
	for i, fs := range r.Fields() {
		if len(*fs) == 0 {
			continue
		}
		most := e.limits.Text
		if fs == &r.CommandLine {
			most = maxCommandLine
		}
		*texts[i] = e.line(happenedNames[i], *fs, most)
		if fs == &r.Process || fs == &r.File { // a command line may well have two in a row
			*texts[i] = canon.WithoutScheme(canon.HalveBackslashes(*texts[i]))
		}
	}
}

// merge takes what the other says and this one does not.
func (h *Happened) merge(o Happened) {
	theirs := o.texts()
	for i, mine := range h.texts() {
		*mine = cmp.Or(*mine, *theirs[i])
	}
}

// maxLink is how long, in bytes, an address of a console may be: browsers open no longer ones.
const maxLink = 2048

// link is the first text that is an address of a console.
func (e *event) link() string {
	found := ""
	e.candidates(e.format.Link, func(_ *formats.Field, s, path string) bool {
		if !isLink(s) {
			e.lost("link", path, s, "no address of a console")
			return true
		}
		found = strings.Clone(s)
		e.note("link", path, found)
		return false
	})
	return found
}

// isLink tells an address that people can be given: absolute, of http or https, with a host, without a
// password, and without anything that cannot be seen. Nothing fetches it.
func isLink(s string) bool {
	if len(s) > maxLink || !canon.IsPlain(s) || strings.ContainsAny(s, " <>\"\\`") {
		return false
	}
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Hostname() != "" && u.User == nil
}
