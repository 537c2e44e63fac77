package formats

import (
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"
)

const acmeFile = `# Acme's alarms: what its box says,
# and how.
format: acme
recognise:
  - [{path: acme_version, type: number}, {path: [what, why], not: true}]
  - [{path: acme, is: [A-1, b], prefix: x}, {path: how, matches: "^a", not: true}]
drop: [{reason: heartbeat, when: [{path: what, is: ping}]}]
id: [[ref, tenant], uuid]
hash: [what]
time: [at]
severity: [{path: level, bands: {7: medium, 0: low}, when: [{path: kind}]}, {path: how, words: {bad: high}}, word]
title: [{join: [a, b]}, {text: constant}]
host: [{each: boxes, path: name}]
with: [{format: ecs, under: data, take: [observables, user]}]
observables:
  - {type: ip, path: [from, to]}
  - {reader: typed, each: iocs, kind: type, value: data}
  - {type: ip, path: [from], tags: [again]}
techniques: [{each: ttps, path: id}]
`

func TestAFormatFileIsDescribedAsItIsWritten(t *testing.T) {
	all, err := Describe(fstest.MapFS{"native.yaml": yamlFile("format: native\ntitle: [a]\n")}, fstest.MapFS{"acme.yaml": yamlFile(acmeFile)})
	if err != nil {
		t.Fatal(err)
	}
	byName := map[string]File{}
	for _, f := range all {
		byName[f.Name] = f
	}
	want := File{
		Name: "acme", Product: "Acme's alarms", Comment: "Acme's alarms: what its box says, and how.", File: "acme.yaml", Folder: 1, Text: acmeFile,
		Recognised: []string{
			"`acme_version` is of type number, and `what` or `why` is not there",
			"`acme` is `a1` or `b` and begins with `x`, and `how` nowhere matches `^a`",
		},
		Drops:    []Drop{{"heartbeat", "`what` is `ping`"}},
		Severity: []string{"`level` (where `kind` is there): from 0 low, from 7 medium", "`how`: `bad` high", "`word`: as it is named"},
		Default:  "medium",
		Fields: []FilledField{
			{"id", []string{"`ref` + `tenant`", "`uuid`", "hash of `what`"}},
			{"time", []string{"`at`"}},
			{"title", []string{"`a` + `b`", "the text `constant`"}},
			{"host", []string{"`boxes.name`"}},
			{"observable: ip", []string{"`from`", "`to`"}},
			{"observable: of the kind that is named", []string{"`iocs.data`"}},
			{"techniques", []string{"`ttps.id`"}},
		},
		Takes: []string{"observables, user of `ecs` below `data`"},
	}
	if d := cmp.Diff(want, byName["acme"]); d != "" {
		t.Errorf("acme, want -, got +:\n%s", d)
	}
	if native := byName["native"]; native.Folder != 0 || native.Product != "" {
		t.Errorf("the operator's native is of folder %d, product %q", native.Folder, native.Product)
	}
	if !byName["sysmon_fields"].Fragment || byName["sysmon"].Folder != -1 {
		t.Error("sysmon_fields is no fragment, or sysmon is not built in")
	}
}

// TestEveryBuiltInFormatSaysWhatItIs: the comment at its top names the product.
func TestEveryBuiltInFormatSaysWhatItIs(t *testing.T) {
	all, err := Describe()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range all {
		if f.Product == "" || !f.Fragment && (len(f.Recognised) == 0 || len(f.Fields) < 3) {
			t.Errorf("%s: product %q, %d ways to recognise it, %d fields", f.Name, f.Product, len(f.Recognised), len(f.Fields))
		}
	}
}

func TestAWrongFormatFileIsNotDescribed(t *testing.T) {
	for text, want := range map[string]string{"": "format own.yaml: nothing is in it", "titel: [a]": "own.yaml:1:1: titel", "format: other": "is not the name of the file"} {
		_, err := Describe(fstest.MapFS{"own.yaml": yamlFile(text)})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want %q", text, err, want)
		}
	}
}

func yamlFile(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
