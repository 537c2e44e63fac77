package rulefiles

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"forager/cmd/worker/shell"
	"forager/config"
	"forager/enrich/detection"
	"forager/enrich/detection/formats"
)

// Trial is what a command reads messages by besides what the configuration says. The zero value is nothing.
type Trial struct {
	Format string // every message is read as this format; empty: its format is recognised
	File   string // a format file that adds a format, or replaces the one of its name; empty: none
	Why    bool   // say where each value was found
}

// decoder reads by what is tried as well. Its error is a mistake of the caller that names the flag: what o holds is right.
func (t Trial) decoder(o detection.Options) (*detection.Decoder, error) {
	if t.File != "" {
		o.Formats = append(slices.Clone(o.Formats), oneFile{os.DirFS(filepath.Dir(t.File)), filepath.Base(t.File)})
		if d, err := detection.New(o); err != nil {
			return nil, shell.Misuse(fmt.Errorf("--format-file: %w", err))
		} else if t.Format == "" {
			return d, nil
		}
	}
	known, err := formats.New(o.Formats...)
	if err != nil {
		return nil, err
	}
	if known.Named(t.Format) == nil {
		return nil, shell.Misuse(fmt.Errorf("--format: %w", NoFormat(t.Format, known.Names())))
	}
	o.Pins = slices.Insert(slices.Clone(o.Pins), 0, detection.Pin{Subject: ">", Format: t.Format})
	d, err := detection.New(o)
	if err != nil {
		return nil, shell.Misuse(fmt.Errorf("--format: %w", err))
	}
	return d, nil
}

// NoFormat refuses the name of a format that there is not, and names those that it may have meant.
func NoFormat(name string, names []string) error {
	hint := cmp.Or(shell.Meant(shell.Like(name, names)), `: "worker formats ls" lists them`)
	return fmt.Errorf("no format %s%s", shell.Shown(name), hint)
}

// oneFile is a folder of which one file is seen.
type oneFile struct {
	fs.FS

	name string
}

// Glob gives the file, whatever the pattern.
func (o oneFile) Glob(string) ([]string, error) { return []string{o.name}, nil }

// Formats describes the built-in formats and the operator's. The error is a *config.Error.
func Formats(c *config.Config, w *Witness) ([]formats.File, error) {
	if _, err := NewDecoder(c, w, Trial{}); err != nil {
		return nil, err
	}
	folders, err := formatFolders(c, w)
	if err != nil {
		return nil, err
	}
	all, err := formats.Describe(folders...)
	return all, wrongFormats(c, err)
}
