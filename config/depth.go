package config

import (
	"errors"

	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/token"
)

// Bounds of a YAML file, before it is parsed: the parser's cost grows with the square of the depth.
const (
	maxDepth    = 100     // values in one another; real files need eight
	maxOpenings = 100_000 // of values at all, so that not even the tokens fill the memory
)

var errDeep = errors.New("values lie too deep in one another, or are too many")

// checkDepth refuses a text that would cost too much to parse. Depth by indentation alone is
// bounded by the length of the text.
func checkDepth(text []byte) error {
	if openings(text) > maxOpenings {
		return errDeep
	}
	flow, run, marks := 0, 0, 0
	for _, t := range lexer.Tokenize(string(text)) {
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
			return errDeep
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
