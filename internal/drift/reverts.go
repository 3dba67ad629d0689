package drift

import (
	"maps"
	"sync"
	"time"

	"github.com/sengu-dev/sengu/internal/manifest"
)

// How a field that somebody else keeps changing is left alone, longer and longer.
const (
	// freeReverts is how often a field is put back without a wait.
	freeReverts = 3
	// firstPause is the wait after those; it doubles from there up to lastPause.
	firstPause = 2 * time.Second
	lastPause  = 5 * time.Minute
	// calm is how long after the last revert, with its pause, a field counts as settled.
	calm = 5 * time.Minute
)

// Reverts remembers how often which field was put back, so that Sengu and another controller do not write against each
// other without end. The zero value is ready. It is safe for concurrent use, and has no clock of its own.
type Reverts struct {
	mu     sync.Mutex
	fights map[manifest.Ref]map[string]fight // by the path of the field
	swept  time.Time
}

type fight struct {
	times   int
	last    time.Time
	manager string
}

// pause is how long the field is left alone after the last revert.
func (f fight) pause() time.Duration {
	if f.times <= freeReverts {
		return 0
	}
	return min(firstPause<<min(f.times-freeReverts-1, 20), lastPause)
}

func (f fight) settled(now time.Time) bool { return now.Sub(f.last) > f.pause()+calm }

// Undone notes that fields of ref were put back at now.
func (r *Reverts) Undone(ref manifest.Ref, fields []manifest.FieldDrift, now time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sweep(now)
	if len(fields) == 0 {
		return
	}
	if r.fights == nil {
		r.fights = map[manifest.Ref]map[string]fight{}
	}
	if r.fights[ref] == nil {
		r.fights[ref] = map[string]fight{}
	}
	for _, field := range fields {
		f := r.fights[ref][field.Path]
		if f.settled(now) {
			f = fight{}
		}
		f.times, f.last, f.manager = f.times+1, now, field.Manager
		r.fights[ref][field.Path] = f
	}
}

// sweep forgets what has settled, now and then.
func (r *Reverts) sweep(now time.Time) {
	if now.Sub(r.swept) < calm {
		return
	}
	r.swept = now
	maps.DeleteFunc(r.fights, func(_ manifest.Ref, fields map[string]fight) bool {
		maps.DeleteFunc(fields, func(_ string, f fight) bool { return f.settled(now) })
		return len(fields) == 0
	})
}

// Wait returns how long the object is to be left alone, by its field with the longest wait: the field, with the manager
// that changed it. It is 0 if the fields may be put back now.
func (r *Reverts) Wait(ref manifest.Ref, fields []manifest.FieldDrift, now time.Time) (time.Duration, manifest.FieldDrift) {
	r.mu.Lock()
	defer r.mu.Unlock()
	var longest time.Duration
	var cause manifest.FieldDrift
	for _, field := range fields {
		f, ok := r.fights[ref][field.Path]
		if !ok || f.settled(now) {
			continue
		}
		if wait := f.last.Add(f.pause()).Sub(now); wait > longest {
			longest, cause = wait, manifest.FieldDrift{Path: field.Path, Manager: field.Manager}
			if cause.Manager == "" {
				cause.Manager = f.manager
			}
		}
	}
	return longest, cause
}

// Contested says whether a field of ref has been put back so often that the next time has to wait: then it is worth
// finding out which fields drifted before anything is written. It costs no request.
func (r *Reverts) Contested(ref manifest.Ref, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, f := range r.fights[ref] {
		if f.times >= freeReverts && !f.settled(now) {
			return true
		}
	}
	return false
}
