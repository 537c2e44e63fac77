//go:build race

package racedetector

// On tells whether the binary was built with the race detector.
const On = true
