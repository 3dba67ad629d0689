package gitrepo

import (
	"context"
	"errors"
)

// fetchURL is the URL that git gets.
func (r *Repository) fetchURL() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.moved != "" {
		return r.moved
	}
	return r.remote.raw
}

// settle forgets where the remote has moved to if there is a credential now and that place is on another host, which
// others may have been led to without one: a credential is for the host of the remote, which is asked itself. It is
// called before each fetch and push, so that none in between learns of another place.
func (r *Repository) settle(cred credential) {
	if cred.authorization == "" {
		return
	}
	if to, err := parseURL(r.fetchURL(), r.store.opts); err != nil || !sameHost(to, r.remote) {
		r.forget()
	}
}

// forget lets the next request find out anew where the remote is, and what it speaks there.
func (r *Repository) forget() {
	r.wire = nil
	r.mu.Lock()
	r.moved = ""
	r.mu.Unlock()
}

// asking runs what asks the remote, and once more if what was known of the remote is no longer so: it was renamed, is at
// its old place again, or is served by something else.
func (r *Repository) asking(ctx context.Context, f func() error) error {
	known := r.wire != nil || r.fetchURL() != r.remote.raw
	err := f()
	if err == nil || !known || ctx.Err() != nil || !elsewhere(err) {
		return err
	}
	r.forget()
	return f()
}

// elsewhere says whether an error is what one gets from a place that the remote is at no longer.
func elsewhere(err error) bool {
	var ge *gitError
	if errors.As(err, &ge) {
		err = reasonOf(ge.stderr)
	}
	return errors.Is(err, errNotGit) || errors.Is(err, ErrRedirect) || errors.Is(err, ErrRemoteMissing)
}
