package setup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"strings"
)

// write writes all files below a directory, or none. What is there is refused, by all names at once.
func write(dir string, files []file) error {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return fmt.Errorf("open %s: %w", dir, err)
	}
	defer func() { _ = root.Close() }()
	if err := refuseThere(root, files); err != nil {
		return err
	}
	for n, f := range files {
		if err := writeOne(root, f); err != nil {
			for _, done := range files[:n] {
				err = errors.Join(err, root.Remove(done.name))
			}
			return err
		}
	}
	return nil
}

// refuseThere names the files that are there.
func refuseThere(root *os.Root, files []file) error {
	var there []string
	for _, f := range files {
		if _, err := root.Lstat(f.name); !errors.Is(err, fs.ErrNotExist) {
			there = append(there, f.name)
		}
	}
	if len(there) > 0 {
		return fmt.Errorf("%w: %s", fs.ErrExist, strings.Join(there, ", "))
	}
	return nil
}

// writeOne makes a file; a secret one for its owner alone.
func writeOne(root *os.Root, f file) error {
	mode := fs.FileMode(0o644)
	if f.runs {
		mode |= 0o111
	}
	if f.secret {
		mode &= 0o700
	}
	if err := root.MkdirAll(path.Dir(f.name), 0o755); err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	to, err := root.OpenFile(f.name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return fmt.Errorf("make a file: %w", err)
	}
	_, err = to.Write(f.content)
	if err = errors.Join(err, to.Close()); err != nil {
		return errors.Join(fmt.Errorf("write %s: %w", f.name, err), root.Remove(f.name))
	}
	return nil
}
