package main

import (
	"errors"
	"fmt"

	"go.uber.org/zap"

	"forager/config"
	"forager/enrich"
)

// checkSpool refuses a folder in which no file could wait: every detection with a file would be
// tried for an hour, and die. Too little room may pass, and is only a finding.
func checkSpool(c *config.Config) (finding string, err error) {
	err = enrich.CheckSpool(c.Files.Spool, int64(c.Files.MaxBytes))
	switch {
	case err == nil:
		return "", nil
	case errors.Is(err, enrich.ErrSpoolRoom):
		return "files.spool: " + err.Error() + ": larger ones are tried again until there is room, and die in the end; make room, or lower files.maxBytes", nil
	case c.Files.Spool == "":
		return "", &usageError{fmt.Errorf("files.spool is not set, and the system's directory for temporary files, %w: mount a volume there, or set files.spool", err)}
	default:
		return "", &usageError{fmt.Errorf("files.spool: %w", err)}
	}
}

// beforeFiles is checkSpool for what is about to carry files.
func beforeFiles(c *config.Config, log *zap.Logger) error {
	finding, err := checkSpool(c)
	if finding != "" {
		log.Warn(finding)
	}
	return err
}
