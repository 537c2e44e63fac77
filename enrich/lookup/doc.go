// Package lookup holds tables of an operator's: who owns which host, to which department an account
// belongs, in which country an address lies.
//
// # Promise
//
// A [Table] is whole or an error, immutable, and safe for concurrent use. What it takes of memory is
// close to the length of its texts, and nothing of it is scanned by the garbage collector, so that a
// million rows cost no pause.
//
// # The way of a row
//
//	table.go      the rows in memory, found by key: Table, builder
//	text.go       reads CSV and JSON
//	open.go       opens a file by the end of its name, once for each change: Cache
//	addresses.go  reads MaxMind databases (.mmdb), whose rows are found by address
//
// # Limits
//
// [MaxBytes] for a table in memory, [MaxColumns] columns, [MaxCell] bytes for a cell. What is beyond is
// an error: a table that lacks rows would be worse than none.
//
// # Errors
//
// [ErrTable] wraps everything that is wrong with a file, and names its line or row.
package lookup
