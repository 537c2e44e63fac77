package files

import (
	"bytes"
	"io"
)

// Pack is the archive of a content, read twice, and what it says of itself.
func Pack(dir string, content []byte, name, password string) (first, second []byte, sha string, size int64, err error) {
	w, err := copyOut(dir, bytes.NewReader(content))
	if err != nil {
		return nil, nil, "", 0, err
	}
	defer w.remove()
	s := newFile(w, func() {})
	a, err := NewArchive(s, name, password)
	if err != nil {
		return nil, nil, "", 0, err
	}
	if first, err = io.ReadAll(a); err != nil {
		return nil, nil, "", 0, err
	}
	if _, err = a.Seek(0, io.SeekStart); err != nil {
		return nil, nil, "", 0, err
	}
	second, err = io.ReadAll(a)
	return first, second, a.SHA256(), a.Bytes(), err
}
