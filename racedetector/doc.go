// Package racedetector tells tests whether the race detector is on: it makes a test four to ten times as slow, and finds its
// races in the first few of many like histories. What takes many goes through few then, and "make check" runs it without the
// detector besides, with all.
package racedetector

// Fewer is all of so many, or few of them with the race detector.
func Fewer(all, few int) int {
	if On {
		return few
	}
	return all
}
