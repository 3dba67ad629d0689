package gitrepo

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"
)

// Written is what a write has come to.
type Written struct {
	// Head is what the branch is after it, full hash.
	Head string
	// Commits are the commits of the drafts, in their order; "" for a draft that had nothing to change.
	Commits []string
}

// Write makes a commit of each draft on the newest head of a branch and pushes all of them at once: every commit or
// none. When the branch moves meanwhile, the edits are called anew on its new head, up to Options.WriteTries times, so
// that nobody's commit is lost. Drafts that change nothing make no commit, and when none does, nothing is pushed.
//
// Writes to one repository follow one another, and those that wait with the same branch and credential go out together
// in one push, each with its own result. The error of an edit is returned as it is, and concerns only its own Write, as
// does the refusal of the remote: a push of several that is refused is tried again in parts.
//
// The error is a *PushError or a *FetchError when the remote is the cause, and matches ErrSigningKey when a key does not
// sign. When ctx ends, or the connection is lost, during a push, the remote may have taken it: a Write with the same
// edits then finds nothing left to change.
func (r *Repository) Write(ctx context.Context, branch string, auth Auth, drafts ...Draft) (Written, error) {
	if err := checkBranch(branch); err != nil {
		return Written{}, fmt.Errorf("write to %s: %w", r.remote.raw, err)
	}
	drafts = slices.Clone(drafts)
	for i := range drafts {
		if err := drafts[i].check(); err != nil {
			return Written{}, fmt.Errorf("write to %s: %w", r.remote.raw, err)
		}
	}
	j := &job{ctx: ctx, branch: branch, auth: auth, drafts: drafts, done: make(chan struct{})}
	r.writes.add(j)
	select {
	case r.writes.turn <- struct{}{}:
		r.lead(ctx, j)
	case <-j.done:
	case <-ctx.Done():
		r.writes.leave(j)
		return Written{}, fmt.Errorf("write %s of %s: %w", branch, r.remote.raw, context.Cause(ctx))
	case <-r.store.ctx.Done():
		r.writes.leave(j)
		return Written{}, fmt.Errorf("write %s of %s: %w", branch, r.remote.raw, ErrClosed)
	}
	if j.panicked != nil {
		panic(j.panicked) // of the caller's own edit
	}
	return j.result, j.err
}

// lead does the work of a job and of those that wait with it. Jobs that it does not finish are for the next that leads.
func (r *Repository) lead(ctx context.Context, own *job) {
	batch := r.writes.take(own)
	defer func() {
		r.writes.giveBack(batch)
		<-r.writes.turn
	}()
	for alone := false; !own.finished(); {
		err := r.attempt(ctx, batch)
		batch = slices.DeleteFunc(batch, (*job).finished)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			own.finish(Written{}, fmt.Errorf("write %s of %s: %w", own.branch, r.remote.raw, context.Cause(ctx)))
		case errors.Is(err, ErrProtected) && len(batch) > 1:
			// Any of them may be to blame, so that they go on without this one.
			alone = true
			r.writes.giveBack(slices.DeleteFunc(batch, func(j *job) bool { return j == own }))
			batch = []*job{own}
		default:
			r.after(ctx, batch, err)
			if !own.finished() && !alone {
				batch = append(batch, r.writes.join(own)...)
			}
		}
	}
	batch = slices.DeleteFunc(batch, (*job).finished)
}

// After a push that failed in a way that may end, a few tries are made.
const fewTries = 3

// limit is how often is tried what has ended with an error.
func (r *Repository) limit(err error) int {
	var pushed *PushError
	switch {
	case errors.Is(err, ErrRace):
		return r.store.opts.WriteTries
	case errors.Is(err, ErrCorrupt), errors.As(err, &pushed) && errors.Is(err, ErrUnreachable):
		return fewTries
	}
	return 1
}

// after ends the jobs that have been tried often enough, and waits before the next try.
func (r *Repository) after(ctx context.Context, batch []*job, err error) {
	limit, tries := r.limit(err), 0
	for _, j := range batch {
		if j.tries++; j.tries >= limit {
			j.finish(Written{}, err)
		} else {
			tries = max(tries, j.tries)
		}
	}
	if tries > 0 {
		_ = r.store.opts.Wait(ctx, backoff(tries)) // the next try finds that ctx has ended
	}
}

// How long to wait after the first try that failed, and at most.
const (
	firstWait = 50 * time.Millisecond
	longWait  = 2 * time.Second
)

// backoff doubles the wait with every try, and takes a random part of it, so that two that race do not meet again.
func backoff(tries int) time.Duration {
	d := min(firstWait<<min(tries-1, 10), longWait)
	return d/2 + rand.N(d/2) //nolint:gosec // nobody gains by guessing it
}

// wait is what Options.Wait does when it is nil.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// attempt is one try: the newest head, the commits of every job on top of it, one push. It finishes each job whose
// outcome is known.
func (r *Repository) attempt(ctx context.Context, batch []*job) error {
	branch, auth := batch[0].branch, batch[0].auth
	head, err := r.newest(ctx, branch, auth)
	if err != nil {
		return err
	}
	b, tip := r.builder(), head
	for _, j := range batch {
		arrived, err := r.arrived(ctx, j, head)
		switch {
		case err != nil:
			return err
		case arrived:
			j.finish(Written{Head: head, Commits: j.commits}, nil)
			continue
		}
		on, err := j.draft(ctx, b, tip, r.store.opts.Now())
		if ctx.Err() != nil || errors.Is(err, ErrCorrupt) {
			return errors.Join(context.Cause(ctx), err)
		}
		if err != nil {
			j.finish(Written{}, err)
			continue
		}
		tip = on
	}
	if b.repo.damaged.Load() {
		r.damaged.Store(true)
	}
	if tip != head {
		pack, err := b.pack(tip)
		if err != nil {
			return err
		}
		err = r.ship(ctx, shipment{
			ref: "refs/heads/" + branch, old: head, tip: tip, pack: pack,
			record: func(ctx context.Context) error { return r.follow(ctx, branch, tip) },
		}, auth)
		if err != nil {
			note(batch)
			return err
		}
	}
	for _, j := range batch {
		j.finish(Written{Head: tip, Commits: j.commits}, nil)
	}
	return nil
}

// note remembers what was pushed. When a connection breaks, the remote may have taken it nevertheless, and what is sent
// once more over a new one is told that the branch has moved.
func note(batch []*job) {
	for _, j := range batch {
		j.sent = ""
		for _, c := range j.commits {
			j.sent = cmp.Or(c, j.sent)
		}
	}
}

// arrived says whether a push that seemed to fail has succeeded after all.
func (r *Repository) arrived(ctx context.Context, j *job, head string) (bool, error) {
	if j.finished() || j.sent == "" || !r.Has(ctx, j.sent) {
		return false, nil
	}
	return r.descends(ctx, j.sent, head)
}
