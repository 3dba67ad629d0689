package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"sync"
	"time"
)

// job is one call of Write.
type job struct {
	ctx    context.Context //nolint:containedctx // of the call; its edits run with it, whoever leads
	branch string
	auth   Auth
	drafts []Draft
	done   chan struct{} // closed when result and err are set

	mu   sync.Mutex // held while an edit runs
	left bool       // the call has returned

	// Of whoever leads.
	tries    int
	commits  []string // of the last try
	sent     string   // the last commit that was pushed, whatever was heard of it
	result   Written
	err      error
	panicked any
}

func (j *job) finished() bool {
	select {
	case <-j.done:
		return true
	default:
		return false
	}
}

// gone says whether the call has returned.
func (j *job) gone() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.left
}

func (j *job) finish(result Written, err error) {
	if !j.finished() {
		j.result, j.err = result, err
		close(j.done)
	}
}

// draft makes the commits of a job on top of another, and returns the last one.
func (j *job) draft(ctx context.Context, b *builder, on string, at time.Time) (string, error) {
	j.commits = make([]string, len(j.drafts))
	for i := range j.drafts {
		next, err := b.draft(ctx, &j.drafts[i], on, at, j.run)
		if err != nil {
			return "", err
		}
		if next != on {
			j.commits[i], on = next, next
		}
	}
	return on, nil
}

// run calls an edit, unless the call that it belongs to has returned. Its panic is for that call.
func (j *job) run(edit EditFunc, tree fs.FS) (changes map[string][]byte, err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := context.Cause(j.ctx); err != nil || j.left {
		return nil, errors.Join(err, errors.New("write given up"))
	}
	defer func() {
		if p := recover(); p != nil {
			j.panicked, err = p, fmt.Errorf("edit panicked: %v", p)
		}
	}()
	return edit(j.ctx, tree)
}

// writes are the calls of Write that wait, and whose turn it is.
type writes struct {
	turn    chan struct{} // holds one token while somebody writes
	mu      sync.Mutex
	waiting []*job
}

func (w *writes) add(j *job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = append(w.waiting, j)
}

// take removes a job and those that may go with it from those that wait; none when it is finished.
func (w *writes) take(own *job) []*job {
	w.mu.Lock()
	defer w.mu.Unlock()
	i := slices.Index(w.waiting, own)
	if i < 0 {
		return nil
	}
	w.waiting = slices.Delete(w.waiting, i, i+1)
	return append([]*job{own}, w.alike(own)...)
}

// join removes those that may go with a job and came after it.
func (w *writes) join(own *job) []*job {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.alike(own)
}

// maxBatch is how many jobs go out in one push.
const maxBatch = 100

func (w *writes) alike(own *job) []*job {
	var list []*job
	w.waiting = slices.DeleteFunc(w.waiting, func(j *job) bool {
		if len(list) >= maxBatch || j.branch != own.branch || j.auth.fingerprint() != own.auth.fingerprint() {
			return false
		}
		list = append(list, j)
		return true
	})
	return list
}

// giveBack lets jobs wait again, before those that came later.
func (w *writes) giveBack(jobs []*job) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = slices.Insert(w.waiting, 0, slices.DeleteFunc(slices.Clone(jobs), func(j *job) bool { return j.finished() || j.gone() })...)
}

// leave gives a job up. It returns when no edit of it runs any more.
func (w *writes) leave(j *job) {
	j.mu.Lock()
	j.left = true
	j.mu.Unlock()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.waiting = slices.DeleteFunc(w.waiting, func(x *job) bool { return x == j })
}
