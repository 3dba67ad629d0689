package history

import (
	"math/rand/v2"
	"slices"
	"time"
)

// sampleSize is how many durations a sample keeps. Beyond it, each that ever came has the same chance to be kept, and the
// rank of a quantile is off by half a percent or so.
const sampleSize = 8 << 10

// sample is a bounded, uniform sample of durations (J. Vitter: Random Sampling with a Reservoir, 1985, algorithm R). The
// same durations in the same order always make the same sample.
type sample struct {
	n    int
	kept []time.Duration
	rand *rand.Rand
}

func (s *sample) add(d time.Duration) {
	s.n++
	if len(s.kept) < sampleSize {
		s.kept = append(s.kept, d)
		return
	}
	if s.rand == nil {
		s.rand = rand.New(rand.NewPCG(1, 2)) //nolint:gosec // statistics, not a secret
	}
	if i := s.rand.IntN(s.n); i < sampleSize {
		s.kept[i] = d
	}
}

func (s *sample) median(of string) Figure {
	if s.n < MedianNeeds {
		return Figure{N: s.n, Why: lacking(of, s.n, "a median", MedianNeeds)}
	}
	slices.Sort(s.kept)
	upper := len(s.kept) / 2
	lower := (len(s.kept) - 1) / 2
	value := (s.kept[lower].Seconds() + s.kept[upper].Seconds()) / 2
	return Figure{Value: &value, N: s.n}
}

func (s *sample) p90(of string) Figure {
	if s.n < PercentileNeeds {
		return Figure{N: s.n, Why: lacking(of, s.n, "a 90th percentile", PercentileNeeds)}
	}
	slices.Sort(s.kept)
	value := s.kept[(9*len(s.kept)+9)/10-1].Seconds()
	return Figure{Value: &value, N: s.n}
}
