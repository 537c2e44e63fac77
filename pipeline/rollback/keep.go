package rollback

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"forager/enrich/claim"
	"forager/filebound"
)

// KeyPrefix begins the key of the ledger's entry for a stream.
const KeyPrefix = "ends."

// Record is what outlives a process. In the ledger it says nothing of the ledger itself, which would go back with it.
type Record struct {
	V         int        `json:"v"`
	Stream    End        `json:"stream"`
	Ledger    End        `json:"ledger,omitzero"`
	Incidents []Incident `json:"incidents,omitempty"`
}

// recordVersion is that of a [Record]; one of a later version is left alone.
const recordVersion = 1

// mostFile bounds the file.
const mostFile = 64 << 10

// Read reads the ledger's entry for a stream; without one it is empty. Errors are the ledger's.
func Read(ctx context.Context, ledger Ledger, name string) (r Record, revision uint64, err error) {
	raw, revision, err := ledger.Get(ctx, KeyPrefix+name)
	if errors.Is(err, claim.ErrNoEntry) {
		return Record{V: recordVersion}, 0, nil
	}
	if err != nil {
		return Record{}, 0, fmt.Errorf("read what is known of stream %s: %w", name, err)
	}
	if err := json.Unmarshal(raw, &r); err != nil {
		return Record{V: recordVersion}, revision, nil //nolint:nilerr // what cannot be read is written anew
	}
	return r, revision, nil
}

// write writes the ledger's entry; who is slower than another replica writes at the next look.
func (w *Watch) write(ctx context.Context, r Record, revision uint64) (uint64, error) {
	raw, err := json.Marshal(r)
	if err != nil {
		return 0, fmt.Errorf("write what is known of stream %s: %w", w.options.Topology.Stream, err)
	}
	written, err := w.ledger.Put(ctx, KeyPrefix+w.options.Topology.Stream, raw, revision)
	if errors.Is(err, claim.ErrConflict) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("write what is known of stream %s: %w", w.options.Topology.Stream, err)
	}
	return written, nil
}

// readFile reads the file beside the worker; none, or one of another stream, is empty.
func readFile(name string) (Record, error) {
	if name == "" {
		return Record{}, nil
	}
	raw, err := filebound.Read(name, mostFile)
	if errors.Is(err, fs.ErrNotExist) {
		return Record{}, nil
	}
	if err != nil {
		return Record{}, fmt.Errorf("read %s: %w", name, err)
	}
	var r Record
	if err := json.Unmarshal(raw, &r); err != nil || r.V > recordVersion {
		return Record{}, nil //nolint:nilerr // a torn file is written anew
	}
	return r, nil
}

// writeFile replaces the file in one step.
func writeFile(name string, r Record) error {
	if name == "" {
		return nil
	}
	raw, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	temporary, err := os.CreateTemp(filepath.Dir(name), filepath.Base(name)+".*")
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	defer func() { _ = os.Remove(temporary.Name()) }() // gone already when it became the file
	_, err = temporary.Write(raw)
	if err := errors.Join(err, temporary.Close()); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	if err := os.Rename(temporary.Name(), name); err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}
