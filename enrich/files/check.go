package files

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// ErrNoRoom says that a folder for files on their way has less room than files may take.
// It may get more: it is no reason to keep a worker from all other work.
var ErrNoRoom = errors.New("not enough room")

// Check tells whether files of so many bytes in all can be spooled in a folder; the empty name is
// the system's for temporary files. It writes a file there and removes it. Errors: ErrNoRoom;
// all others mean that no file can be carried, and name the folder.
func Check(dir string, most int64) error {
	dir = cmp.Or(dir, os.TempDir())
	info, err := os.Stat(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("%s does not exist", dir)
	case err != nil:
		return fmt.Errorf("%s cannot be looked at: %w", dir, bare(err))
	case !info.IsDir():
		return fmt.Errorf("%s is no directory", dir)
	}
	file, err := os.CreateTemp(dir, "forager-*")
	if err != nil {
		return fmt.Errorf("%s cannot be written: %w", dir, bare(err))
	}
	_, err = file.WriteString("x") // what has no room at all shows only now
	if err = errors.Join(err, file.Close(), os.Remove(file.Name())); err != nil {
		return fmt.Errorf("%s cannot be written: %w", dir, bare(err))
	}
	if free, known := roomIn(dir); known && free < most {
		return fmt.Errorf("%w: %s has %d MiB, files may take %d", ErrNoRoom, dir, free>>20, most>>20)
	}
	return nil
}

// bare takes the path off an error that names it once more.
func bare(err error) error {
	if e, ok := errors.AsType[*fs.PathError](err); ok {
		return e.Err
	}
	return err
}
