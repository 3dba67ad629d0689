package notify

import (
	"math/rand/v2"
	"time"
)

const (
	// firstPause is how long a sink rests after one failure. Each further one doubles it, up to longestPause.
	firstPause   = time.Second
	longestPause = 5 * time.Minute
	// longestBusy bounds what a place may ask for by Retry-After.
	longestBusy = time.Hour
)

// pause is how long to wait after an attempt, the first of which is 1: a fifth more or less, so that sinks that failed
// together do not come back together.
func pause(attempt int) time.Duration {
	d := longestPause
	if attempt < 10 { // 2^9 seconds are more than the longest pause
		d = min(d, firstPause<<(max(attempt, 1)-1))
	}
	return d - d/5 + rand.N(2*d/5) //nolint:gosec // it guards nothing
}
