package service

import (
	"errors"
	"slices"
	"strings"

	"go.uber.org/zap"

	"forager/cmd/worker/rulefiles"
	"forager/config"
)

// Mistakes gives everything that is wrong with a configuration at once: what loading found, and what
// those find who understand more of a value than that it is one. Each is asked whatever the others
// say. Where not even the configuration's file could be read, that is all there is to say.
func Mistakes(c *config.Config, loaded error, w *rulefiles.Witness) error {
	if c == nil {
		return loaded
	}
	_, rules := rulefiles.NewRouter(c, w)
	_, formats := rulefiles.NewDecoder(c, w, rulefiles.Trial{})
	_, bundles := rulefiles.NewCatalogue(c)
	_, spool := CheckSpool(c)
	files := Unreadable(c)
	return config.Join(loaded, rules, formats, bundles, spool, files, connections(c, loaded, files))
}

// certificates are the files of certificates, keys and credentials that a connection reads.
func certificates(c *config.Config) map[string]string {
	return map[string]string{
		"nats.credsFile": c.NATS.CredsFile, "nats.nkeyFile": c.NATS.NKeyFile,
		"nats.caFile": c.NATS.CAFile, "nats.certFile": c.NATS.CertFile, "nats.keyFile": c.NATS.KeyFile,
		"hive.caFile": c.Hive.CAFile, "hive.certFile": c.Hive.CertFile, "hive.keyFile": c.Hive.KeyFile,
	}
}

// Unreadable refuses those that are not there, or not for this user. nil: none is.
func Unreadable(c *config.Config) error {
	var wrong []config.Mistake
	for key, file := range certificates(c) {
		if file == "" {
			continue
		}
		if err := rulefiles.Readable(file); err != nil {
			wrong = append(wrong, config.Mistake{Key: key, Err: err})
		}
	}
	return c.Mistaken(wrong...)
}

// connections refuses what those who connect would, of the sections of which nothing wrong is known
// yet: they stop at the first mistake, and do not know its key.
func connections(c *config.Config, known ...error) error {
	var wrong []config.Mistake
	for section, check := range map[string]func() error{
		config.ToNATS: func() error { return Connection(c, zap.NewNop()).Check() },
		config.ToHive: func() error { _, err := NewClient(c); return err },
	} {
		if slices.ContainsFunc(known, func(err error) bool { return concerns(err, section) }) {
			continue
		}
		if err := check(); err != nil {
			wrong = append(wrong, config.Mistake{Key: section, Err: err})
		}
	}
	return c.Mistaken(wrong...)
}

// concerns tells whether an error names a key or variable of a section.
func concerns(err error, section string) bool {
	e, ok := errors.AsType[*config.Error](err)
	return ok && slices.ContainsFunc(e.Problems, func(p *config.Problem) bool {
		return p.Key == "" || p.Key == section || strings.HasPrefix(p.Key, section+".") || strings.HasPrefix(p.Key, "FORAGER_"+strings.ToUpper(section)+"_")
	})
}
