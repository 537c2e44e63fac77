package apply

import (
	"fmt"
	"maps"
	"slices"
)

// failures are those of a pass over many things of which none may stop the others.
type failures struct {
	n     int // all of them
	row   int // since the last success
	first error
}

// maxRow is how many failures in a row say that it is not the things that fail.
const maxRow = 8

// note takes what came of one thing.
func (f *failures) note(err error) {
	if err == nil {
		f.row = 0
		return
	}
	f.n, f.row = f.n+1, f.row+1
	if f.first == nil {
		f.first = err
	}
}

// hopeless tells whether the pass had better end.
func (f *failures) hopeless() bool { return f.row >= maxRow }

// err says how many failed, and wraps the first; nil when none did.
func (f *failures) err() error {
	switch f.n {
	case 0:
		return nil
	case 1:
		return f.first
	default:
		return fmt.Errorf("%d failed, the first: %w", f.n, f.first)
	}
}

func sortedKeys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
