// Package formats reads and compiles format files: what an event of a product looks like, and where things lie in it.
//
// # Promise
//
// A file is refused with its name, line, column and key, or it works: nothing is left to be found wrong while an event is
// read. A [Set] never changes once it is made, and may be used by many goroutines. The documentation of package detection,
// which reads events by it, explains the keys of a file.
//
// # The way
//
// load.go finds the files and yaml.go reads them into spec.go, where each type says how it is written; include.go takes what a
// file wants of others, check.go refuses what no event could be read by, scale.go makes severities ready, compile.go gives
// each path a slot in trie.go, and share.go keeps once what several formats have. set.go finds the format of an event by
// condition.go; of the embedded files builtin.go reads no more than that needs until the format is met. walk.go walks an event once, beside the trie, and so fills the slots ([Hits]). about.go says what files
// say, for people.
//
// # Limits
//
// A file has at most 1 MiB, and costs no more to parse than package yamlbound allows. The files beside this one are built in.
//
// # Errors
//
// [Error], one for each file that is wrong, joined.
package formats
