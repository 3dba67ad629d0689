package testenv

import (
	"testing"
	"time"

	clocktesting "k8s.io/utils/clock/testing"
)

// pollEvery is the pause between two tries of Eventually.
const pollEvery = 10 * time.Millisecond

// Eventually tries check until it returns nil, and fails the test with its last error if that does not happen within
// limit.
func Eventually(t testing.TB, limit time.Duration, check func() error) {
	t.Helper()
	deadline := time.Now().Add(limit)
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		err := check()
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %v", limit, err)
		}
		<-ticker.C
	}
}

// During calls check again and again for the whole of span, and fails the test at the first error. For what must never
// happen.
func During(t testing.TB, span time.Duration, check func() error) {
	t.Helper()
	deadline := time.Now().Add(span)
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for time.Now().Before(deadline) {
		if err := check(); err != nil {
			t.Fatal(err)
		}
		<-ticker.C
	}
}

// Clock is a clock that stands still until the test moves it with Step or SetTime.
type Clock = clocktesting.FakeClock

// NewClock returns a Clock at a fixed time.
func NewClock() *Clock {
	return clocktesting.NewFakeClock(time.Date(2030, time.April, 1, 9, 0, 0, 0, time.UTC))
}
