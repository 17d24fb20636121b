//go:build race

package ddltailtest

// raceDetector is true if the tests were built with -race; then so is ddltail.
const raceDetector = true
