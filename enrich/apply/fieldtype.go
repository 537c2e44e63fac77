package apply

import (
	"cmp"
	"context"
	"errors"
	"regexp"
	"strings"
	"sync"
	"time"
	"unicode"

	"forager/hive"
)

// fieldTypes are the types of TheHive's custom fields: asked where a value may act, kept for a while.
// What the configuration calls a field is not what TheHive makes of it. Safe for concurrent use.
type fieldTypes struct {
	mu sync.Mutex
	of map[string]string // by name in lower case, as TheHive compares them
	at time.Time
}

// fieldTypesKept is how long an answer counts; a field that it lacks is asked for again.
const fieldTypesKept = 10 * time.Minute

// typeOf gives the type of a field as TheHive has it; empty is a field that it does not have.
func (f *fieldTypes) typeOf(ctx context.Context, from FieldLister, name string) (string, error) {
	name = strings.ToLower(name)
	f.mu.Lock()
	kind, known := f.of[name]
	known = known && time.Since(f.at) < fieldTypesKept
	f.mu.Unlock()
	if known {
		return kind, nil
	}
	all, err := from.CustomFields(ctx)
	if err != nil {
		return "", err
	}
	of := make(map[string]string, len(all))
	for _, c := range all {
		of[strings.ToLower(c.Name)] = c.Type
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.of, f.at = of, time.Now()
	return of[name], nil
}

// urlField is TheHive's type of a custom field that it shows as a link.
const urlField = "url"

var errNoPage = errors.New("TheHive would make a link of it, and it does not begin with https:// or http://")

// leaveOutLinks leaves out of a case the texts that TheHive would make a link of which does something
// else than open a page: what a field of the type url in the configuration never takes either. Where
// TheHive does not tell the type, the text is left out, too; the case is opened in any case.
func (r *round) leaveOutLinks(ctx context.Context, n *creation) error {
	for _, f := range n.base.CustomFields {
		text, ok := f.Value.(string)
		if !ok || !leadsElsewhere(text) {
			continue
		}
		kind, err := r.e.types.typeOf(ctx, r.hive, f.Name)
		if err != nil && scopeOf(err) == scopeAll && !deniedList(err) {
			return err
		}
		if err == nil && kind != urlField {
			continue
		}
		n.cause = cmp.Or(n.cause, err, errNoPage)
		n.leaveOutPart("custom field " + f.Name)
	}
	return nil
}

// deniedList tells whether the account may not list fields. That keeps no case from being opened.
func deniedList(err error) bool {
	e, ok := errors.AsType[*hive.Error](err)
	return ok && e.Verdict() == hive.Denied
}

// scheme is how an address begins (RFC 3986).
var scheme = regexp.MustCompile(`^(?i:[a-z][a-z0-9+.-]*):`)

// leadsElsewhere tells whether a browser could read a text as an address that is none of a page. It
// passes over spaces before it, controls and what nobody sees, as browsers do.
func leadsElsewhere(text string) bool {
	seen := strings.TrimLeftFunc(strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.Cc, unicode.Cf) {
			return -1
		}
		return r
	}, text), unicode.IsSpace)
	begins := strings.ToLower(scheme.FindString(seen))
	return begins != "" && begins != "https:" && begins != "http:"
}
