// Package enrich decides what detections mean for a case, and makes TheHive agree.
//
// [Planner.Plan] is pure: a detection becomes a [Plan], which says to which correlation key
// it belongs and which effects it asks for. Plans of one key are merged and carried out by
// [Enricher.Apply], which looks at what is there, adds only what is missing, and can be
// repeated at will: every effect is a member of a set with a natural identity.
//
// Between replicas an apply is serialised by claims (package claim) on the entries of a store with
// compare-and-set, the ledger; it also remembers what was done, so that a known case costs one look.
// The package returns errors and never logs; [ClassOf] is the one place where an error
// becomes a class, and with it a settlement.
package enrich
