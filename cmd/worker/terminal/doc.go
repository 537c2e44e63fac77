// Package terminal writes for people: tables, lists and lines that fit on a terminal, coloured by what they mean, and how far
// something is that lasts. Elsewhere, as in a pipe or a file, the same is written plainly: without colours, nothing cut and
// nothing left out.
//
// Its way: colour.go has the meanings, and decides whether there are colours; screen.go is where a command writes; text.go makes
// texts fit for one line, measures, cuts and folds them by the width in which they are seen; table.go and list.go lay them out;
// progress.go shows how far something is.
//
// Its limits: texts of others are cleaned here in any case, so that none steers the terminal or begins a line of its own. A table
// or list is held in memory until it is written. A colour never says anything alone: a word stands beside it.
package terminal
