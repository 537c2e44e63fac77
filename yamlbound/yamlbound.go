// Package yamlbound refuses YAML that would cost too much to parse: the parser's cost grows with the
// square of the depth, and aliases make a small file a huge one.
//
// Promise: what [Check] lets pass has at most 100 values in one another and 100 000 values in all, and
// the check itself costs no more than reading the text's tokens. Depth by indentation alone is bounded
// by the length of the text, which the caller bounds.
//
// The package is a leaf: the configuration and the format files are both read through it.
package yamlbound

import (
	"errors"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

const (
	maxDepth    = 100     // values in one another; real files need eight
	maxOpenings = 100_000 // of values at all, so that not even the tokens fill the memory
)

// Errors of [Check].
var (
	// ErrDeep refuses what would cost too much to parse.
	ErrDeep = errors.New("values lie too deep in one another, or are too many")
	// ErrAlias refuses what could make a small file a huge one.
	ErrAlias = errors.New("aliases and merge keys are not read: write it out")
)

// Check looks at a text before it is parsed. Aliases and merge keys pass only where aliases says so.
// Its error is [ErrDeep] or [ErrAlias], whichever the text earns first.
func Check(text []byte, aliases bool) error {
	if openings(text) > maxOpenings {
		return ErrDeep
	}
	flow, run, marks := 0, 0, 0
	for _, t := range lexer.Tokenize(string(text)) {
		if !aliases && (t.Type == token.AliasType || t.Type == token.MergeKeyType) {
			return ErrAlias
		}
		switch t.Type {
		case token.SequenceStartType, token.MappingStartType:
			flow++
		case token.SequenceEndType, token.MappingEndType:
			flow = max(flow-1, 0)
		case token.SequenceEntryType, token.MappingKeyType:
			run++
		case token.AnchorType, token.TagType: // the name that follows hides that they may stand in a row
			marks++
		default:
			run = 0
		}
		if flow > maxDepth || run > maxDepth || marks > maxDepth {
			return ErrDeep
		}
	}
	return nil
}

// openings counts what may open a value, in quotation marks or not.
func openings(text []byte) (n int) {
	for i, c := range text {
		switch c {
		case '[', '{', '&', '!':
			n++
		case '-', '?':
			if i+1 < len(text) && text[i+1] <= ' ' {
				n++
			}
		}
	}
	return n
}
