package files

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash/crc32"
	"io"
	"os"
)

// written is a whole copy of a content.
type written struct {
	file *os.File
	sha  string
	crc  uint32
	size int64
}

func (c written) remove() {
	_ = c.file.Close()
	_ = os.Remove(c.file.Name())
}

// copyOut writes a content to a file of its own.
func copyOut(dir string, source io.Reader) (c written, err error) {
	c.file, err = os.CreateTemp(dir, "forager-*")
	if err != nil {
		return written{}, fmt.Errorf("spool file: %w", err)
	}
	whole := false
	defer func() {
		if !whole {
			c.remove()
		}
	}()
	sum, crc := sha256.New(), crc32.NewIEEE()
	c.size, err = io.Copy(io.MultiWriter(c.file, sum, crc), source)
	if err != nil {
		return written{}, fmt.Errorf("spool file: %w", err)
	}
	whole = true
	c.sha, c.crc = hex.EncodeToString(sum.Sum(nil)), crc.Sum32()
	return c, nil
}
