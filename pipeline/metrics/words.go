package metrics

import (
	"sync"
	"unicode/utf8"
)

// Bounds of the words that may become labels.
const (
	mostWords   = 128 // different values of one label
	longestWord = 64  // bytes
)

// What a label says when its word cannot.
const (
	wordNone  = "none"  // there is no word
	wordOther = "other" // too many, too long, or no text
)

// words bounds the values of a label. Reasons, formats and operations come from code and from the
// operator's files, never from events; should that ever change, the first hundred-odd words get
// through and memory, here and at Prometheus, does not grow.
type words struct {
	mu    sync.RWMutex
	known map[string]bool
}

func newWords() *words { return &words{known: map[string]bool{}} }

// fold gives the word itself, or wordOther.
func (w *words) fold(word string) string {
	if word == "" {
		return wordNone
	}
	w.mu.RLock()
	known := w.known[word]
	w.mu.RUnlock()
	if known {
		return word
	}
	if len(word) > longestWord || !utf8.ValidString(word) {
		return wordOther
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.known) >= mostWords && !w.known[word] {
		return wordOther
	}
	w.known[word] = true
	return word
}
