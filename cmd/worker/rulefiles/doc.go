// Package rulefiles makes of the files that an operator wrote what reads messages and decides on them, and notices when they change.
//
// Its way: witness.go reads files and remembers what they were; formats.go has the folders of formats, bundles.go the ATT&CK bundles, rules.go
// routes, silences, lookups and allow-lists; readers.go puts them together: a decoder and a planner.
//
// Its limits: a secret's file holds at most 1 MiB, rules 64 MiB, a bundle 256 MiB (readfile.go).
//
// Its errors: a mistake is a *config.Error with file, line and key; a flag that names what there is not is a *shell.UsageError.
package rulefiles
