package rulefiles

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"

	"forager/config"
	"forager/filebound"
	"forager/mitre"
)

// NewCatalogue makes the ATT&CK catalogue: the embedded one and the operator's bundles.
func NewCatalogue(c *config.Config) (*mitre.Catalogue, error) {
	return withBundles(mitre.Embedded(), c)
}

// withBundles adds the operator's STIX files to a catalogue.
func withBundles(known *mitre.Catalogue, c *config.Config) (*mitre.Catalogue, error) {
	var wrong []config.Mistake
	for i, name := range c.Attack.Bundles {
		text, err := filebound.Read(name, mostBundle)
		if err == nil {
			if known, err = withBundle(known, name, text); err != nil {
				err = fmt.Errorf("%s: %w", name, err)
			}
		}
		if err != nil {
			wrong = append(wrong, config.Mistake{Key: fmt.Sprintf("attack.bundles[%d]", i), Err: err})
		}
	}
	return known, c.Mistaken(wrong...)
}

// inFileName is how MITRE and others write a release at the end of a file's name:
// enterprise-attack-17.1.json, ics-attack-v17.json.
var inFileName = regexp.MustCompile(`(?:attack-|v)([0-9]{1,2}(?:\.[0-9]{1,2}){0,2})$`)

// withBundle adds one bundle. One that does not say which release it is, as those in STIX 2.0,
// may say it by its name.
func withBundle(c *mitre.Catalogue, name string, text []byte) (*mitre.Catalogue, error) {
	more, err := c.With(text)
	if !errors.Is(err, mitre.ErrNoRelease) {
		return more, reasonOfBundle(err)
	}
	stem := strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	found := inFileName.FindStringSubmatch(stem)
	if found == nil {
		return c, fmt.Errorf("%w; nor does its name, as enterprise-attack-17.1.json would", reasonOfBundle(err))
	}
	more, err = c.WithRelease(found[1], text)
	return more, reasonOfBundle(err)
}

// reasonOfBundle leaves out which of several bundles it was: the file's name says it better.
func reasonOfBundle(err error) error {
	if b, ok := errors.AsType[*mitre.BundleError](err); ok {
		return b.Err
	}
	return err
}
