package mitre

import (
	"slices"
	"strings"
)

// aliases are short forms that tools write, folded: Hayabusa's columns and
// GuardDuty's threat purposes.
var aliases = [...][2]string{
	{"recon", "reconnaissance"}, {"resdev", "resource-development"}, {"initaccess", "initial-access"},
	{"exec", "execution"}, {"persis", "persistence"}, {"privesc", "privilege-escalation"}, {"evas", "defense-evasion"},
	{"credaccess", "credential-access"}, {"disc", "discovery"}, {"latmov", "lateral-movement"}, {"collect", "collection"},
	{"c2", "command-and-control"}, {"cnc", "command-and-control"}, {"commandcontrol", "command-and-control"},
	{"exfil", "exfiltration"}, {"defenceevasion", "defense-evasion"}, {"defenceimpairment", "defense-impairment"},
}

// evasive tactics are one another's old and new names: release 19 split
// Defense Evasion into Stealth and Defense Impairment; ICS says Evasion.
var evasive = []string{"defense-evasion", "stealth", "defense-impairment", "evasion"}

// A Tactic is a column of a matrix.
type Tactic struct {
	ID    string // "TA0002"
	Name  string // "Execution"
	Short string // "execution"
}

// Tactics gives the columns of a domain's matrix in a release ("19.0"), from left to right; none where the
// catalogue does not hold that release of the domain.
func (c *Catalogue) Tactics(domain, version string) []Tactic {
	var all []Tactic
	for _, r := range c.releases {
		if r.domain != domain || r.version != version {
			continue
		}
		for _, t := range r.tactics {
			all = append(all, Tactic{ID: t.id, Name: t.name, Short: t.short})
		}
	}
	return all
}

// Tactic gives the short name of the tactic that a text names: TA ids, names,
// short names, CamelCase, with underscores, with a prefix such as "attack." or
// "mitre_", old and new. An id whose tactic was renamed gives the new name
// (TA0005 is "stealth"). It reports false when the text names no tactic.
func (c *Catalogue) Tactic(ref string) (short string, ok bool) {
	var buf [maxName]byte
	return c.tacticIn(ref, foldTo(&buf, afterKey(ref)))
}

// tacticIn looks for a tactic's id in a text, then for the text, folded, with
// and without a prefix.
func (c *Catalogue) tacticIn(s string, folded []byte) (short string, ok bool) {
	if id, _ := nextTacticID(s, 0); id != "" {
		short, ok = c.tactics[fold(id)]
		return short, ok
	}
	for {
		if short, ok := c.tactics[string(folded)]; ok {
			return short, true
		}
		rest := cutPrefix(folded)
		if rest == nil {
			return "", false
		}
		folded = rest
	}
}

// tacticList gives the tactics that a text names, which may be several.
func (c *Catalogue) tacticList(text string) []string {
	text = text[:min(len(text), maxHint)]
	if short, ok := c.Tactic(text); ok && nextSeparator(text) < 0 {
		return []string{short}
	}
	var out []string
	for part := range strings.FieldsFuncSeq(text, isSeparator) {
		if short, ok := c.Tactic(part); ok {
			out = append(out, short)
		}
	}
	return out
}

// own picks from a technique's own tactics what the event says: the same one,
// else one that release 19 renamed or split.
func own(tactics, said []string) (string, bool) {
	for _, t := range tactics {
		if slices.Contains(said, t) {
			return t, true
		}
	}
	if !slices.ContainsFunc(said, func(s string) bool { return slices.Contains(evasive, s) }) {
		return "", false
	}
	i := slices.IndexFunc(tactics, func(t string) bool { return slices.Contains(evasive, t) })
	if i < 0 {
		return "", false
	}
	return tactics[i], true
}

// tacticIndex collects every spelling of every tactic; newer releases win.
func (c *Catalogue) tacticIndex() {
	c.tactics, c.taDomain = map[string]string{}, map[string]string{}
	for _, a := range aliases {
		c.tactics[a[0]] = a[1]
	}
	for _, r := range slices.Backward(c.releases) {
		for _, t := range r.tactics {
			for _, key := range []string{fold(t.short), fold(t.name), fold(t.id)} {
				if _, there := c.tactics[key]; !there && key != "" {
					c.tactics[key] = t.short
				}
			}
			c.taDomain[t.id] = r.domain
		}
	}
}

// nextTacticID finds the next "TA" and four digits at or after from, and
// gives it in upper case with its end.
func nextTacticID(s string, from int) (id string, end int) {
	for i := from; i+6 <= len(s); i++ {
		if s[i]|0x20 == 't' && s[i+1]|0x20 == 'a' && digits(s[i+2:i+6]) && freeLeft(s, i) && (i+6 == len(s) || !isDigit(s[i+6])) {
			return strings.ToUpper(s[i : i+6]), i + 6
		}
	}
	return "", -1
}
