// Package apply makes TheHive agree with plans, idempotently.
//
// # Promise
//
// [Applier.Apply] carries out plans of one correlation key. Each plan's error says what became of it: nil means
// that TheHive confirmed everything it asks for. Every effect is a member of a set with a natural identity, so that
// an apply can be repeated at will: it looks at what is there and adds only what is missing. What an analyst
// removed or changed stays so. Between replicas an apply is serialised by claims (package claim) on entries of
// the ledger, which also remember what was done, so that a known case costs one look.
//
// # The way of an apply
//
//	applier.go       Apply: oldest plans first, one turn for each case
//	turn.go          waits for the key's lock and a slot; what became of each plan
//	resolve.go       claims the key, finds or opens the case of the oldest plans
//	spans.go         which of the key's cases a plan belongs to: a pure function of the entry's list
//	search.go        looks for cases of the key, for the newest event of one, and for what became of a listed case that
//	                 TheHive does not show: merged, deleted, out of sight
//	open.go          opens a case; and not too many; creation.go: without what TheHive refuses
//	casework.go      claims the case, gives up the key, learns what is there, adds what is missing, records
//	desired.go       what the plans ask of the case together, within its limits
//	observables.go   posts observables
//	procedures.go    posts procedures
//	fields.go        tags, severity, TLP, PAP
//	comments.go      a comment for each rule and day; texts.go: its words, and the marker by which it is found
//	digest.go        the page that says how many detections of which rules there are (package digest)
//	files.go         uploads files; fileforms.go: in which form, and whether the case has it in another
//	marks.go         what the entry of a case remembers, and what analysts removed
//
// A route may want alerts and no cases (raise.go): the entry of their group takes the place of the key's, and steps add to an
// alert as to a case (applier.go). It may want that cases come by alert (byalert.go): then TheHive itself knows by the alert's name what was done, and nobody waits
// until a lost request shows.
//
// Beside that way: bisect.go takes a request apart that fails for what it holds, and says whom an error concerns;
// audit.go notes what TheHive's audit says, and shows and changes what is remembered; upkeep.go brings comments up to
// date and purges entries; background.go does what nobody waits for: it links new cases with others (package related) and lets Cortex look
// at observables (package analyze). applier.go also declares what is needed of TheHive.
//
// # Limits
//
// [Limits] for the items of a case, [Options] Slots for applies at a time, Batch for values in a call. A wait
// takes no slot. A request is tried apart at most 40 times in vain.
//
// # Errors
//
// An error of a plan has a class (enrich.ClassOf): *enrich.RejectedError names the items that TheHive refused for
// good, *enrich.UnsettledError those that may pass the next time, *enrich.DroppedError says that the case was
// deleted; all others concern the whole apply. The package never logs: [Events] is told of what is worth counting.
package apply
