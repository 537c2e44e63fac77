package digest

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"forager/enrich"
	"forager/enrich/markdown"
)

// MaxText is what a page may have, in bytes.
const MaxText = 64 << 10

// Heads of the tables.
const (
	ruleHead = "| Rule | Severity | Count | First seen | Last seen | Techniques | Users | Sources | Console |\n|---|---|---|---|---|---|---|---|---|\n"
	rowHead  = "| Time | What | User | From → to | Process or file | Id |\n|---|---|---|---|---|---|\n"
)

// Table is a table of detections: time, rule, user, from and to, process or file, id with its link.
func Table(all []enrich.Sighting) string {
	var b strings.Builder
	b.WriteString(rowHead)
	for _, s := range all {
		b.WriteString(row(s) + "\n")
	}
	return b.String()
}

// row is a detection in such a table.
func row(s enrich.Sighting) string {
	return "| " + strings.Join([]string{
		enrich.StampMilli(s.At), markdown.CellText(cmp.Or(s.Title, s.Rule)), markdown.Cell(s.User), fromTo(s), markdown.Cell(s.Process) + comma(s) + markdown.Cell(s.File), idCell(s),
	}, " | ") + " |"
}

// comma parts process and file.
func comma(s enrich.Sighting) string {
	if s.Process == "" || s.File == "" {
		return ""
	}
	return ", "
}

// fromTo says where a detection came from and went to, as far as it is known.
func fromTo(s enrich.Sighting) string {
	if s.To == "" {
		return markdown.Cell(s.From)
	}
	return cmp.Or(markdown.Cell(s.From), "?") + " → " + markdown.Cell(s.To)
}

// idCell is the id of a detection, with the way back to its console.
func idCell(s enrich.Sighting) string {
	if s.Link == "" {
		return markdown.Cell(s.ID)
	}
	return markdown.Cell(s.ID) + " " + markdown.Link(s.Link)
}

// Text is the page: Markdown, shorter than MaxText. Where room is short, the rules that matter least and the oldest
// detections are left out of the tables, and that is said; all numbers count them.
func (d Digest) Text() string {
	rules := slices.Clone(d.Rules)
	slices.SortStableFunc(rules, func(a, b Rule) int {
		return cmp.Or(cmp.Compare(b.Severity, a.Severity), cmp.Compare(b.N, a.N), cmp.Compare(a.Hash, b.Hash))
	})
	last := marker(rules, d.Other)
	room := MaxText - len(last) - 1<<10 // for what stands around
	var b strings.Builder
	b.WriteString(d.headline() + "\n\n" + d.relatedLine() + d.unseenLines() + ruleHead)
	for i, r := range rules {
		line := r.row()
		if b.Len()+len(line) > room*2/3 {
			fmt.Fprintf(&b, "\n… and %d more rules.\n", len(rules)-i)
			break
		}
		b.WriteString(line)
	}
	if d.Other > 0 {
		fmt.Fprintf(&b, "\nFurther rules: %d detections.\n", d.Other)
	}
	b.WriteString("\nThe newest:\n\n" + rowHead)
	for _, line := range d.Rows {
		if b.Len()+len(line) > room {
			break
		}
		b.WriteString(line + "\n")
	}
	return seal(b.String(), last)
}

const relatedBegins = "Cases with the same indicators: "

// relatedLine says which cases have the same indicators, where they are known here.
func (d Digest) relatedLine() string {
	if len(d.Related) == 0 {
		return ""
	}
	var all []string
	for _, n := range d.Related {
		all = append(all, "#"+strconv.Itoa(n))
	}
	return relatedBegins + strings.Join(all, ", ") + "\n\n"
}

const unseenBegins = "Not analysed by "

// unseenLines say which analyzers did not look at something.
func (d Digest) unseenLines() string {
	var b strings.Builder
	for _, line := range d.Unseen {
		b.WriteString(unseenBegins + line + "\n\n")
	}
	return b.String()
}

// readHead reads what relatedLine and unseenLines wrote.
func (d *Digest) readHead(head string) {
	for line := range strings.Lines(head) {
		if why, ok := strings.CutPrefix(strings.TrimSuffix(line, "\n"), unseenBegins); ok {
			d.unseen(why)
		}
		numbers, ok := strings.CutPrefix(strings.TrimSpace(line), relatedBegins)
		if !ok {
			continue
		}
		for one := range strings.SplitSeq(numbers, ", ") {
			if n, err := strconv.Atoi(strings.TrimPrefix(one, "#")); err == nil && n > 0 {
				d.Relate(n)
			}
		}
	}
}

// headline says how many since when.
func (d Digest) headline() string {
	times := "1 detection"
	if d.N != 1 {
		times = "At least " + strconv.Itoa(d.N) + " detections"
	}
	of := "1 rule"
	if n := len(d.Rules); n != 1 || d.Other > 0 {
		of = strconv.Itoa(n) + " rules"
	}
	return "**" + times + "** of " + of + ", first seen " + enrich.StampMilli(d.First) + ", last seen " + enrich.StampMilli(d.Last)
}

// known is a time, where it is one.
func known(ms int64) string {
	if ms == 0 {
		return ""
	}
	return enrich.StampMilli(ms)
}

// row is a rule in its table.
func (r Rule) row() string {
	return "| " + strings.Join([]string{
		r.Name, enrich.SeverityWord(r.Severity), strconv.Itoa(r.N), known(r.First), known(r.Last),
		strings.Join(r.Techniques, ", "), tallies(r.Users), tallies(r.Sources), r.Link,
	}, " | ") + " |\n"
}

// shownTallies is how many of those that are counted are shown.
const shownTallies = 3

// tallies writes who was seen most, and how often where it was more than once.
func tallies(all []Tally) string {
	var out []string
	for _, t := range all[:min(len(all), shownTallies)] {
		if t.N == 1 {
			out = append(out, t.Text)
		} else {
			out = append(out, t.Text+" ("+strconv.Itoa(t.N)+")")
		}
	}
	return strings.Join(out, ", ")
}

// marker is what the last line says of the rules, in the order of their table.
func marker(rules []Rule, other int) string {
	var all []string
	for _, r := range rules {
		all = append(all, fmt.Sprintf("%s:%d:%d:%d:%d", r.Hash, r.Severity, r.N, r.First, r.Last))
	}
	return fmt.Sprintf(" other=%d rules=%s`", other, strings.Join(all, " "))
}

const markerBegins = "`forager: digest="

// seal ends a page with its last line, which holds the checksum of all before it and of itself.
func seal(text, last string) string {
	return text + "\n" + markerBegins + sum(text, last) + last + "\n"
}

func sum(text, last string) string {
	h := sha256.Sum256([]byte(strings.TrimSpace(text) + "\n" + last))
	return hex.EncodeToString(h[:8])
}

var (
	sealed    = regexp.MustCompile("(?s)^(.*)\n`forager: digest=([0-9a-f]{16})( other=([0-9]{1,9}) rules=([0-9a-f: ]*)`)\\s*$")
	ruleMark  = regexp.MustCompile(`^([0-9a-f]{32}):([1-4]):([0-9]{1,9}):([0-9]{1,15}):([0-9]{1,15})$`)
	tallyMark = regexp.MustCompile(`^(.*) \(([0-9]{1,9})\)$`)
)

// Parse reads a page. intact tells whether it is as Forager wrote it; of a page that is not, nothing is read.
func Parse(text string) (d Digest, intact bool) {
	part := sealed.FindStringSubmatch(strings.ReplaceAll(text, "\r\n", "\n"))
	if part == nil || sum(part[1], part[3]) != part[2] {
		return Digest{}, false
	}
	d.Other, _ = strconv.Atoi(part[4])
	d.N = d.Other
	tables := strings.SplitN(part[1], rowHead, 2)
	if len(tables) < 2 {
		return Digest{}, false
	}
	head, rows, _ := strings.Cut(tables[0], ruleHead)
	d.readHead(head)
	lines := strings.Split(rows, "\n")
	for i, mark := range strings.Split(part[5], " ") {
		if r, ok := readRule(mark); ok && len(d.Rules) < MaxRules {
			if i < len(lines) {
				r.readCells(lines[i])
			}
			d.N += r.N
			d.First, d.Last = earliest(d.First, r.First), max(d.Last, r.Last)
			d.Rules = append(d.Rules, r)
		}
	}
	for line := range strings.Lines(tables[1]) {
		if line = strings.TrimRight(line, "\n"); strings.HasPrefix(line, "| ") {
			d.Rows = append(d.Rows, line)
		}
	}
	d.Rows = newest(d.Rows)
	return d, true
}

// Sealed tells whether a text ends, or ended, as a digest does, whoever changed it since.
func Sealed(text string) bool {
	return strings.HasPrefix(text, markerBegins) || strings.Contains(text, "\n"+markerBegins)
}

// readRule reads what the last line says of a rule.
func readRule(mark string) (r Rule, ok bool) {
	part := ruleMark.FindStringSubmatch(mark)
	if part == nil {
		return r, false
	}
	r.Hash = part[1]
	r.Severity, _ = strconv.Atoi(part[2])
	r.N, _ = strconv.Atoi(part[3])
	r.First, _ = strconv.ParseInt(part[4], 10, 64)
	r.Last, _ = strconv.ParseInt(part[5], 10, 64)
	return r, true
}

// readCells reads the cells of a rule's row, as they are written.
func (r *Rule) readCells(line string) {
	cells := cellsOf(line)
	if len(cells) != 9 {
		return // it found no room
	}
	r.Name, r.Users, r.Sources, r.Link = cells[0], readTallies(cells[6]), readTallies(cells[7]), cells[8]
	if cells[5] != "" {
		r.Techniques = uniteTexts(nil, parted(cells[5]))
	}
}

// cellsOf parts a row at what parts cells: bars that no backslash stands before.
func cellsOf(line string) (cells []string) {
	line = strings.TrimSuffix(strings.TrimPrefix(line, "|"), "|")
	from := 0
	for i := range len(line) {
		if line[i] == '|' && (i == 0 || line[i-1] != '\\') {
			cells = append(cells, strings.TrimSpace(line[from:i]))
			from = i + 1
		}
	}
	return append(cells, strings.TrimSpace(line[from:]))
}

// readTallies reads what tallies wrote.
func readTallies(s string) (all []Tally) {
	for _, one := range parted(s) {
		if part := tallyMark.FindStringSubmatch(one); part != nil {
			n, _ := strconv.Atoi(part[2])
			all = append(all, Tally{part[1], n})
		} else if one != "" {
			all = append(all, Tally{one, 1})
		}
	}
	return all
}

// parted parts values of a cell at commas that stand outside of code. Code has fences of one backtick there, and a
// backtick that is none has a backslash before it.
func parted(s string) (all []string) {
	from, code := 0, false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '`':
			code = !code
		case code:
		case s[i] == '\\':
			i++
		case strings.HasPrefix(s[i:], ", "):
			all = append(all, s[from:i])
			from = i + len(", ")
		}
	}
	return append(all, s[from:])
}
