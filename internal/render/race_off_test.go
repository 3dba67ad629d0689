//go:build !race

package render

// raceEnabled is true when the race detector multiplies the memory that a worker needs.
const raceEnabled = false
