package threshold

import (
	"encoding/json"
	"errors"
	"fmt"
)

// version is that of the entries that this package writes.
const version = 1

// ErrVersion says that an entry was written by a later version, which alone may change it.
var ErrVersion = errors.New("the entry is of a later version")

// Encode writes a state as an entry of the ledger.
func (s *State) Encode() ([]byte, error) {
	s.V = version
	value, err := json.Marshal(s)
	if err != nil {
		return nil, fmt.Errorf("threshold: write: %w", err)
	}
	return value, nil
}

// Decode reads what Encode wrote; nothing is the zero state. Errors: [ErrVersion]; of JSON.
func Decode(value []byte) (State, error) {
	var s State
	if len(value) == 0 {
		return s, nil
	}
	if err := json.Unmarshal(value, &s); err != nil {
		return s, fmt.Errorf("threshold: read: %w", err)
	}
	if s.V > version {
		return s, fmt.Errorf("threshold: read: %w: %d", ErrVersion, s.V)
	}
	return s, nil
}
