package gitrepo

import (
	"context"
	"errors"
	"slices"
)

// maxShown bounds what is remembered of who may read which commit; beyond it all are asked for again.
const maxShown = 4096

// hasShown says whether the remote has let a credential read a commit before.
func (r *Repository) hasShown(rev string, auth Auth) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.shown[auth.fingerprint()+rev]
}

func (r *Repository) show(rev string, auth Auth) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.shown == nil || len(r.shown) >= maxShown {
		r.shown = map[string]bool{}
	}
	r.shown[auth.fingerprint()+rev] = true
}

// admits asks the remote whether it lets a credential read. A commit that is here need not be there any more.
func (r *Repository) admits(ctx context.Context, rev string, cred credential) error {
	err := r.asking(ctx, func() error { return r.admitsOnce(ctx, rev, cred) })
	if err != nil {
		return r.explain(ctx, rev, cred, err)
	}
	return nil
}

func (r *Repository) admitsOnce(ctx context.Context, rev string, cred credential) error {
	if r.remote.overHTTP() {
		c, err := r.call(rev, cred)
		if err != nil {
			return err
		}
		if err = c.greet(ctx); err == nil {
			_, err = c.lsRefs(ctx, "HEAD") // what a server speaks, some tell everybody
		}
		if !errors.Is(err, errOlder) {
			return err
		}
	}
	_, err := r.store.git(ctx, run{
		dir: r.dir, args: []string{"ls-remote", "--heads", "--", r.fetchURL()},
		config: slices.Concat(cred.config, allowed(r.remote)), env: cred.env, redact: cred.redact,
	})
	return err
}
