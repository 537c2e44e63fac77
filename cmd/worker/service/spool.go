package service

import (
	"errors"

	"go.uber.org/zap"

	"forager/config"
	"forager/enrich/files"
)

// CheckSpool refuses a folder that somebody chose and in which no file can wait: every detection
// with a file would be tried for an hour, and die. Too little room may pass, and the image has no
// folder for temporary files unless one is mounted, which matters only where detections bring
// files: both are findings.
func CheckSpool(c *config.Config) (finding string, err error) {
	err = files.Check(c.Files.Spool, int64(max(c.Files.MaxBytes, c.Files.SpoolBytes)))
	switch {
	case err == nil:
		return "", nil
	case errors.Is(err, files.ErrNoRoom):
		return "files.spool: " + err.Error() + ": what finds no room is tried again until there is, and dies in the end; make room, or lower files.maxBytes and files.spoolBytes", nil
	case c.Files.Spool == "":
		return "no detection with a file can be carried: files.spool is not set, and the system's directory for temporary files, " + err.Error() + ": mount a volume there, or set files.spool", nil
	default:
		return "", c.Wrong(config.Mistake{Key: "files.spool", Err: err})
	}
}

// beforeFiles is CheckSpool for what is about to carry files.
func beforeFiles(c *config.Config, log *zap.Logger) error {
	finding, err := CheckSpool(c)
	if finding != "" {
		log.Warn(finding)
	}
	return err
}
