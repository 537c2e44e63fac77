// Package enrich says what detections mean for a case, purely.
//
// # Promise
//
// [Planner.Plan] turns a detection into a [Plan]: to which correlation key it belongs and which effects
// it asks for. It makes no call. Package apply carries plans out. [ClassOf] is the one place where an
// error becomes a class, and with it a settlement.
//
// # The way of a detection
//
//	key.go           what detections of one case have in common, and its hash
//	planner.go       title, severity, techniques (knowledge.go: what the server holds of ATT&CK), tags.go
//	reach.go         which objects the sender may name; zippolicy.go: which files go into an archive
//	routing.go       what the rules change (package rules)
//	plan.go          the result; describe.go, words.go: in words, and what tables of detections tell
//	slots.go         how many applies work at a time
//	class.go         what an error means; denied.go, organisation.go: refusals of the account
//
// # Limits
//
// Titles and tags are cut to what TheHive takes; a key opens at most PlannerOptions.NewCases cases an hour.
//
// # Errors
//
// [DroppedError] where a silence or a route says so, [MalformedError] where there is nothing to correlate
// on. The package never logs.
package enrich
