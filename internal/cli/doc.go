// Package cli is the sengu program as a person at a shell meets it: one file a verb.
//
// It is responsible for reading flags, finding the plane that holds Sengu's objects, and saying what it found in words
// that lead on: results on the standard output, progress and errors on the standard error, one sentence an error. It
// refuses to decide anything about a delivery: it reads what the controllers wrote, sets the annotations that ask them
// for something, and calls the packages that render and compare. Nothing here is reachable from a controller.
package cli
