// Package tree holds the values of one message, and finds what lies where in them.
//
// # Promise
//
// A [Tree] takes documents within its [Limits], in one slice that the next message has again. Numbers are kept as
// written. Of members of one name, the last counts, in the first's place, as with encoding/json. Nothing here knows
// what a value means.
//
// # The way
//
// scan.go and scan_string.go read JSON (RFC 8259), pairs.go reads `k="v"` lists; both put what they read onto tree.go.
// path.go reads paths and follows them: names match whatever the case and whether written with "_", "-" or neither
// ([Fold]), nested, flat ("a.b") and mixed; arrays fan out.
//
// # Errors
//
// A [malformed.Error]: InvalidJSON, TooDeep, TooManyKeys. What was put on a tree before an error stays there, and is
// not to be used.
package tree
