package gitrepo

// WaitingWrites is how many calls of Write wait for another to go out with or after.
func (r *Repository) WaitingWrites() int {
	r.writes.mu.Lock()
	defer r.writes.mu.Unlock()
	return len(r.writes.waiting)
}

// PushFailure reads what `git push` printed.
var PushFailure = pushFailure
