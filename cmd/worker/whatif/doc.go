// Package whatif is "worker whatif": what other routes, silences and formats would have made of what the stream holds.
//
// # Promise
//
// It reads the stream, and nothing else: no case is looked at, nothing is written. Every message is read and planned twice, by the
// rules in force and by those of a directory, and both are counted the same way. Memory does not grow with the stream, but with
// the keys whose cases may still take more and with what waits below thresholds, both up to a bound.
//
// # What is counted
//
// Cases are those of the rules alone, as if the stream began with none and no analyst closed, merged or changed one: a
// detection goes into the case of its key whose span holds it, else opens one. Limits of new cases, TheHive's refusals
// and what lies before the beginning are not in it. What analysts see is the difference of two such counts.
//
// Thresholds are those of enrich/threshold, as the worker has them. Its clock is when the stream stored a message: a
// detection waits for the window and five minutes from then on. What became of it is told when that is known.
//
// # The way of a comparison
//
//	command.go  the command: two configurations, a bar
//	compare.go  reads messages, plans each twice, on all processors, and folds in the stream's order
//	side.go     the cases of one set of rules
//	waiting.go  what waits below its thresholds
//	tally.go    what is counted, and in which words
//	report.go   the table, and what changes rule by rule
package whatif
