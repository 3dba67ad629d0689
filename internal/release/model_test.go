package release

import (
	"flag"
	"fmt"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

var (
	oneSeed   = flag.Uint64("seed", 0, "run the sequence of this seed only, and tell its story")
	firstSeed = flag.Uint64("from", 1, "seed of the first sequence")
	sequences = flag.Uint64("sequences", 20000, "how many sequences are run")
)

// TestModel runs random worlds against the machine. Whatever happens in them, after every decision the rules of the
// model hold; and when the world turns kind, what is newest arrives everywhere.
func TestModel(t *testing.T) {
	if *oneSeed != 0 {
		if broken := play(*oneSeed, nil, func(line string) { t.Log(line) }); broken != "" {
			t.Fatal(broken)
		}
		return
	}
	defer debug.SetGCPercent(debug.SetGCPercent(800)) // nothing lives for long here
	var next atomic.Uint64
	var failed atomic.Uint64
	next.Store(*firstSeed - 1)
	end := *firstSeed + *sequences
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for seed := next.Add(1); seed < end && failed.Load() == 0; seed = next.Add(1) {
				if play(seed, nil, nil) != "" {
					failed.CompareAndSwap(0, seed)
				}
			}
		})
	}
	workers.Wait()
	if seed := failed.Load(); seed != 0 {
		t.Fatal(explain(seed))
	}
}

// explain plays a sequence that breaks a rule again, with as few of its events as still break one, and tells its story.
func explain(seed uint64) string {
	left := map[int]bool{}
	last := play(seed, left, nil)
	for i := maxEvents; i >= 0; i-- {
		left[i] = true
		if broken := play(seed, left, nil); broken == "" {
			delete(left, i)
		} else {
			last = broken
		}
	}
	var story strings.Builder
	said := ""
	play(seed, left, func(line string) {
		if line != said {
			story.WriteString(line + "\n")
		}
		said = line
	})
	return fmt.Sprintf("%s\n\n%s\nThe whole of it: go test ./internal/release -run TestModel -seed %d", last, story.String(), seed)
}

// maxEvents is how many events a sequence has at most.
const maxEvents = 40

// play runs the sequence of a seed without the events that are left out, and returns the first rule that was broken.
func play(seed uint64, left map[int]bool, tell func(string)) string {
	w := newWorld(seed, tell)
	events := 5 + roll(seed, 1).IntN(maxEvents-5)
	for i := range events {
		if left[i] {
			continue
		}
		w.event(i, roll(seed, uint64(100000+i)))
		if w.broken != "" {
			return w.broken
		}
	}
	if seed%4 == 0 {
		w.turnKind(roll(seed, 99999), false)
	}
	if w.broken == "" && seed%12 == 0 {
		w.commitClean()
		w.turnKind(roll(seed, 99998), true)
	}
	return w.broken
}

// event lets one thing happen and the machine decide about it.
func (w *world) event(i int, d dice) {
	w.now = w.now.Add(time.Duration(1+d.IntN(60)) * time.Second)
	w.say("--- event %d at %s", i, clock(w.now))
	s := oneOf(d, w.services)
	switch k := d.IntN(100); {
	case k < 12 || w.commits == 0:
		w.commit(d)
		s = nil
	case k < 45:
		w.anApp(d, s)
	case k < 58:
		if owner := w.endJob(d); owner != nil {
			s = owner
		}
	case k < 66:
		w.answer(d, s)
	case k < 82:
		w.person(d, s)
	case k < 95:
		w.passTime(d)
		s = nil
	case k < 96:
		if len(s.releases) > 0 {
			w.plan(d, s)
		}
	case k < 97:
		w.loseJob(d, s)
	case k < 98:
		w.loseApp(d, s)
	case k < 99:
		w.now = w.now.Add(time.Duration(d.IntN(180)) * time.Minute)
		w.up = w.now
		w.say("Sengu was down until %s", clock(w.now))
		s = nil
	default:
		w.stale(d, s)
	}
	for _, each := range w.services {
		if s == nil || each == s || d.chance(0.2) {
			w.settle(d, each, d.chance(0.12))
		}
		w.collect(each)
	}
}

// anApp lets the App controller act, where something is under way if that is so anywhere.
func (w *world) anApp(d dice, s *service) {
	var all, unsettled []string
	for _, env := range w.envs() {
		if app := s.apps[env.Name]; app != nil {
			all = append(all, env.Name)
			if app.Status.ObservedGeneration != app.Generation || app.Status.Health == v1alpha1.Progressing {
				unsettled = append(unsettled, env.Name)
			}
		}
	}
	switch {
	case len(unsettled) > 0 && d.chance(0.9):
		w.controller(d, s, oneOf(d, unsettled))
	case len(all) > 0:
		w.controller(d, s, oneOf(d, all))
	}
}

// passTime lets time go by, to when somebody wanted to look again or to anywhere, or puts the clock back a little.
func (w *world) passTime(d dice) {
	switch k := d.IntN(10); {
	case k < 5:
		if look := w.nextLook(); !look.IsZero() {
			w.now = look
		}
	case k < 7:
		w.now = w.now.Add(time.Duration(d.IntN(15)) * time.Minute)
	case k < 9:
		w.now = w.now.Add(time.Duration(d.IntN(72)) * 10 * time.Minute)
	default:
		w.now = w.now.Add(-time.Duration(d.IntN(120)) * time.Second)
	}
	w.say("it is %s", clock(w.now))
}

// nextLook is the first time at which a decision wants to be made again.
func (w *world) nextLook() time.Time {
	var first time.Time
	for _, s := range w.services {
		if s.look.After(w.now) && (first.IsZero() || s.look.Before(first)) {
			first = s.look
		}
	}
	return first
}
