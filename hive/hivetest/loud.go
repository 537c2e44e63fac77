package hivetest

import (
	"time"

	"github.com/sourcegraph/conc/panics"
)

// loud makes a panic of f end the process at once: the group that f runs in would keep it until somebody
// waits, and a simulator that stopped answering would look like a slow one.
func loud(f func()) func() {
	return func() {
		var caught panics.Catcher
		caught.Try(f)
		if r := caught.Recovered(); r != nil {
			time.AfterFunc(0, func() { panic(r.AsError()) }) // on a goroutine of its own: nothing recovers it
		}
	}
}
