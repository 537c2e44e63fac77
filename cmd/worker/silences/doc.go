// Package silences proposes silences from what analysts decided: it reads closed cases and says which rule, on which
// host or of which user, was a false positive every time.
//
// Promise: it changes nothing, neither in TheHive nor in the configuration. A proposal was never true among the cases that
// were read; it is as narrow as its evidence, lets pass what is more severe than that, and ends.
//
//	command.go  "worker silences propose": flags, and what is said of the proposals
//	gather.go   reads closed cases of TheHive with their pages and comments
//	read.go     which rules a case has, from Forager's own texts: pure
//	propose.go  which silences follow from cases: pure
//	write.go    the silences as YAML, with their evidence
//
// A rule is in Forager's texts as a hash (markers, the page Detections) and in words. Words count only when they have that
// hash; a rule whose words nobody finds is proposed to nobody, and counted.
package silences
