package rules

import (
	"errors"
	"fmt"
	"regexp"
	"strings"

	"forager/enrich/detection/canon"
	"forager/enrich/markdown"
)

// position is where a value of an event stands in a text, which says how it is written.
type position int

const (
	asItIs    position = iota // in a text that is no Markdown
	inText                    // among words
	inCode                    // in a code span, or in a code block that a line could end
	inFence                   // in a fenced block that nothing but its own fence ends
	inAddress                 // behind the host of an address
)

// write writes a value at its place, between the literal parts before and after it. Placeholders
// beside each other are one value.
func (p position) write(value, before, after string) string {
	switch p {
	case inAddress:
		return encodeWhole(value)
	case inCode:
		return noFence.Replace(strings.Join(strings.Fields(canon.Clean(value, maxRendered)), " "))
	case inFence:
		return noFence.Replace(canon.Clean(value, maxRendered))
	case inText:
		return betweenWords(value, before, after)
	default:
		return value
	}
}

// Ends and beginnings of literal parts that join a value to a name with a dot.
var (
	gluedBefore = regexp.MustCompile(`[.@/]$`)
	gluedAfter  = regexp.MustCompile(`^[.@/:]\S|^[.@/]$`)
)

// noFence takes away what could end code.
var noFence = strings.NewReplacer("`", "'", "~~~", "---")

// betweenWords writes a value among words. Where what stands beside it could make a name with a dot
// of it, which renderers take for an address, it is code.
func betweenWords(value, before, after string) string {
	written := markdown.Text(value)
	if gluedBefore.MatchString(before) || gluedAfter.MatchString(after) || joinsBrackets(before, value) || joinsBrackets(value, after) {
		written = markdown.Code(value)
	}
	if (len(before)-len(strings.TrimRight(before, `\`)))%2 == 1 {
		return `\` + written // else the backslash before would undo the first one that escapes
	}
	return written
}

// joinsBrackets tells whether two texts, one after the other, could be label and address of a link.
func joinsBrackets(first, second string) bool {
	return strings.HasSuffix(first, "]") && second != "" && strings.ContainsRune("([:", rune(second[0]))
}

var (
	errHTML  = errors.New("stands in HTML, where what an event gives could act: use Markdown")
	errLabel = errors.New("stands in the label or title of a link, which it could end: put it into the text of the link, or behind its host")
	errInfo  = errors.New("stands beside the fence of a code block, which it could end: put it into the block")
	errTick  = errors.New("stands behind a backtick that no other closes: what an event gives could close it")
)

// placesIn says where the placeholders of a text stand, and what the text may lead to. Markdown is
// rendered to know it: nothing else knows what a renderer takes for a link.
func placesIn(parts []part, kind textKind) ([]position, *allowed, []*RuleError) {
	places := make([]position, len(parts))
	switch kind {
	case plainText:
		return places, nil, nil
	case linkText:
		for i := range places {
			places[i] = inAddress
		}
		return places, nil, nil
	case markdownText:
	}
	probe := newProbe(parts)
	var wrong []*RuleError
	for i, p := range parts {
		if p.expression == "" {
			continue
		}
		at, err := probe.placeOf(i)
		if err != nil {
			wrong = append(wrong, &RuleError{Line: p.line, Column: p.column, Err: err})
		}
		places[i] = at
	}
	return places, &allowed{seen: probe.seen}, wrong
}

// bareAddress is the end of a text that a renderer may take for the beginning of an address.
var bareAddress = regexp.MustCompile(`(?i)(?:[a-z]*:?//|www\.)[^\s<>()"'|\x60]*$`)

// behindHost refuses what begins an address and does not name all of its host.
func behindHost(before string) error {
	if first := strings.Index(before, markBegins); first >= 0 {
		before = before[:first]
	}
	if !fixedHost(before, true) {
		return fmt.Errorf("the address of a link %w", errHost)
	}
	return nil
}

// placeOf says where one placeholder stands, or what is wrong with that.
func (p *probe) placeOf(i int) (position, error) {
	word := mark(i)
	for _, to := range p.seen.addresses {
		if before, _, in := strings.Cut(to, word); in {
			return inAddress, behindHost(before)
		}
	}
	for _, x := range []struct {
		in  []string
		at  position
		err error
	}{
		{p.seen.html, inText, errHTML}, {p.seen.labels, inText, errLabel}, {p.seen.infos, inText, errInfo},
		{p.seen.code, inCode, nil}, {p.seen.fences, inFence, nil},
	} {
		for _, text := range x.in {
			if strings.Contains(text, word) {
				return x.at, x.err
			}
		}
	}
	if to := bareAddress.FindString(filledWith(p.parts[:i], mark)); to != "" {
		return inAddress, behindHost(to)
	}
	if p.ticked(i) {
		return inText, errTick
	}
	return inText, nil
}

// encodeWhole percent-encodes everything but letters, digits, "-", "_", "~" and ".": the result can
// be no more than one segment or one value of a URL. Of a text that is all dots nothing is left,
// since browsers take even an encoded ".." for a step up.
func encodeWhole(s string) string {
	const hex = "0123456789ABCDEF"
	if strings.Trim(s, ".") == "" {
		return ""
	}
	var b strings.Builder
	for i := range len(s) {
		c := s[i]
		switch {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c == '~', c == '.':
			b.WriteByte(c)
		default:
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
		}
	}
	return b.String()
}
