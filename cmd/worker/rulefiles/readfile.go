package rulefiles

import (
	"os"

	"forager/filebound"
)

// Bounds of what is read of a file that an operator names, in bytes.
const (
	MostSecret = 1 << 20   // a key, certificates, credentials
	mostRules  = 64 << 20  // a configuration, rules, an allow-list
	mostBundle = 256 << 20 // ATT&CK as STIX
)

// Readable tells whether a secret, a key or certificates could be read. A pipe is left as it is: what is read of it is gone.
func Readable(name string) error {
	info, err := os.Stat(name)
	if err == nil && info.Mode()&os.ModeNamedPipe != 0 {
		return nil
	}
	_, err = filebound.Read(name, MostSecret)
	return err
}
