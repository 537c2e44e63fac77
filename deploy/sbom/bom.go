package main

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"net/url"
	"runtime/debug"
	"strings"

	cdx "github.com/CycloneDX/cyclonedx-go"
)

// ours is the licence of the module itself, and goes that of Go's standard library.
const (
	ours = "Apache-2.0"
	goes = "BSD-3-Clause"
)

// stdlib is the name by which scanners for vulnerabilities know Go's standard library.
const stdlib = "stdlib"

// licences are SPDX identifiers by module path.
type licences map[string]string

// parseLicences reads a line for each module: its path and its licence.
func parseLicences(list string) licences {
	all := licences{}
	for line := range strings.Lines(list) {
		if path, id, ok := strings.Cut(strings.TrimSpace(line), " "); ok {
			all[path] = id
		}
	}
	return all
}

// describe makes the bill of materials of a binary from what Go recorded in it.
func describe(info *debug.BuildInfo, binary []byte, known licences) (*cdx.BOM, error) {
	sum := sha256.Sum256(binary)
	root := application(info, sum)
	parts := []cdx.Component{standardLibrary(info)}
	var missing []error
	for _, m := range info.Deps {
		part, err := library(m, known)
		if err != nil {
			missing = append(missing, err)
			continue
		}
		parts = append(parts, part)
	}
	if err := errors.Join(missing...); err != nil {
		return nil, err
	}
	bom := cdx.NewBOM()
	bom.SerialNumber = "urn:uuid:" + identifier(sum)
	bom.Metadata = &cdx.Metadata{
		Timestamp:  setting(info, "vcs.time"),
		Lifecycles: &[]cdx.Lifecycle{{Phase: cdx.LifecyclePhasePostBuild}},
		Component:  &root,
	}
	bom.Components = &parts
	bom.Dependencies = dependencies(root, parts)
	return bom, nil
}

// application is the binary.
func application(info *debug.BuildInfo, sum [sha256.Size]byte) cdx.Component {
	c := component(cdx.ComponentTypeApplication, info.Main.Path, info.Main.Version, ours)
	c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum[:])}}
	properties := []cdx.Property{{Name: "go:package", Value: info.Path}, {Name: "go:version", Value: info.GoVersion}}
	for _, s := range info.Settings {
		properties = append(properties, cdx.Property{Name: "go:build:" + s.Key, Value: s.Value})
	}
	c.Properties = &properties
	return c
}

// standardLibrary is the part that comes with Go.
func standardLibrary(info *debug.BuildInfo) cdx.Component {
	version, _, _ := strings.Cut(strings.TrimPrefix(info.GoVersion, "go"), " ")
	c := component(cdx.ComponentTypeLibrary, stdlib, version, goes)
	c.CPE = "cpe:2.3:a:golang:go:" + version + ":-:*:*:*:*:*:*"
	return c
}

// library is a module. Its checksum is that of go.sum, which is a SHA-256 over the module's files
// with their names; as text it is a property, as digits a hash, where other tools for Go have it.
func library(m *debug.Module, known licences) (cdx.Component, error) {
	if m.Replace != nil {
		m = m.Replace
	}
	if known[m.Path] == "" {
		return cdx.Component{}, fmt.Errorf("%s: its licence is not in the list: go test ./deploy/licences -update writes it", m.Path)
	}
	sum, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(m.Sum, "h1:"))
	if err != nil || len(sum) != sha256.Size {
		return cdx.Component{}, fmt.Errorf("%s %s: no checksum: %q", m.Path, m.Version, m.Sum)
	}
	c := component(cdx.ComponentTypeLibrary, m.Path, m.Version, known[m.Path])
	c.Hashes = &[]cdx.Hash{{Algorithm: cdx.HashAlgoSHA256, Value: hex.EncodeToString(sum)}}
	c.Properties = &[]cdx.Property{{Name: "go:sum", Value: m.Sum}}
	return c, nil
}

func component(kind cdx.ComponentType, name, version, licence string) cdx.Component {
	purl := purlOf(name, version)
	return cdx.Component{
		Type: kind, BOMRef: purl, Name: name, Version: version, PackageURL: purl, Scope: cdx.ScopeRequired,
		Licenses: &cdx.Licenses{{License: &cdx.License{ID: licence}}},
	}
}

// purlOf is the package URL of a module. Its specification wants small letters, and what is special
// in the version escaped.
func purlOf(path, version string) string {
	return "pkg:golang/" + strings.ToLower(path) + "@" + url.QueryEscape(version)
}

// dependencies are those of the binary on all of its parts.
func dependencies(root cdx.Component, parts []cdx.Component) *[]cdx.Dependency {
	var refs []string
	for _, p := range parts {
		refs = append(refs, p.BOMRef)
	}
	all := []cdx.Dependency{{Ref: root.BOMRef, Dependencies: &refs}}
	for _, ref := range refs {
		all = append(all, cdx.Dependency{Ref: ref})
	}
	return &all
}

// identifier is a UUID (version 8, RFC 9562) that only this binary has.
func identifier(sum [sha256.Size]byte) string {
	b := sum[:16]
	b[6] = b[6]&0x0f | 0x80
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func setting(info *debug.BuildInfo, key string) string {
	for _, s := range info.Settings {
		if s.Key == key {
			return s.Value
		}
	}
	return ""
}
