// Command sbom writes what a binary consists of, as CycloneDX 1.6.
//
//	sbom -licences deploy/licences/licences.txt dist/image/worker > dist/sbom.cdx.json
//
// Promise: every module that Go recorded in the binary is there with name, version, purl, licence
// and checksum, the standard library as well; the same binary gives the same bytes.
//
// Limits: it knows what the binary was made of, not which module asked for which other; the
// dependencies are those of the binary on all of them. It is a module of its own, so that its
// libraries are no requirement of the worker's.
package main

import (
	"bytes"
	"debug/buildinfo"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "sbom:", err)
		os.Exit(1)
	}
}

// run reads a binary and writes its parts.
func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("sbom", flag.ContinueOnError)
	licences := flags.String("licences", "", "`FILE` with a line for each module: its path and its SPDX licence")
	if err := flags.Parse(args); err != nil {
		return err
	}
	if flags.NArg() != 1 || *licences == "" {
		return errors.New("usage: sbom -licences FILE BINARY")
	}
	list, err := os.ReadFile(*licences)
	if err != nil {
		return fmt.Errorf("read licences: %w", err)
	}
	binary, err := os.ReadFile(flags.Arg(0))
	if err != nil {
		return fmt.Errorf("read binary: %w", err)
	}
	info, err := buildinfo.Read(bytes.NewReader(binary))
	if err != nil {
		return fmt.Errorf("%s: %w", flags.Arg(0), err)
	}
	bom, err := describe(info, binary, parseLicences(string(list)))
	if err != nil {
		return fmt.Errorf("%s: %w", flags.Arg(0), err)
	}
	return cdx.NewBOMEncoder(out, cdx.BOMFileFormatJSON).SetPretty(true).EncodeVersion(bom, cdx.SpecVersion1_6)
}
