// Package threshold says which detections together are worth a case, and which still wait for more.
//
// # Promise
//
// Purely, and whatever the order of arrival: a detection passes when it belongs to a burst, and to no other end. A burst
// is as many detections as no gap of more than [Rule] Within parts, of which a window of Within, both ends included, has
// what the rule needs. Times are those of the events. So nothing passes early, and nothing that belongs is left behind,
// as long as it is held. A detection that comes twice, by its place or by its own id, counts once.
//
// # The files
//
//	rule.go    what must come together, and whether a window has it
//	state.go   what is held of one key, and the bursts that it had: add, due, settle
//	encode.go  a state ↔ an entry of the ledger
//
// # Limits
//
// A state holds at most [Most] detections and remembers [MostBursts] bursts. It knows neither a clock nor a ledger: who
// calls says what time it is, and writes the state where all replicas share it.
//
// # Errors
//
// [ErrVersion] of an entry that a later version wrote.
package threshold
