package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// Revision is the head of a branch at the time it was observed.
type Revision struct {
	// Hash of the commit, hexadecimal.
	Hash string
	// Previous is the head that the fetch before had brought, "" when this is the first.
	Previous string
	// Forced says that Previous is no ancestor of Hash: the branch was rewritten. Previous stays readable.
	Forced bool
	// Time of the observation, by the Store's clock.
	Time time.Time
}

// Changed says whether the branch moved since the fetch before.
func (v Revision) Changed() bool { return v.Hash != v.Previous }

// Fetch brings the head of a branch here and says what it is. The error is a *FetchError when the remote is the cause.
// Whatever the error, everything that was fetched before stays readable.
func (r *Repository) Fetch(ctx context.Context, branch string, auth Auth) (Revision, error) {
	if err := checkBranch(branch); err != nil {
		return Revision{}, fmt.Errorf("fetch %s: %w", r.remote.raw, err)
	}
	var rev Revision
	err := r.exclusive(ctx, auth, func(ctx context.Context, cred credential) error {
		return r.repairing(ctx, branch, cred, func() error {
			hash, err := r.bring(ctx, branch, cred)
			if err == nil {
				rev, err = r.advance(ctx, branch, hash)
			}
			return err
		})
	})
	if err != nil {
		return Revision{}, err
	}
	r.show(rev.Hash, auth)
	r.maintainSoon()
	return rev, nil
}

// repairing runs what fetches a branch, and once more after the mirror was found damaged and made anew.
func (r *Repository) repairing(ctx context.Context, branch string, cred credential, f func() error) error {
	err := f()
	if errors.Is(err, ErrCorrupt) || (err == nil && r.damaged.Load()) {
		if err = r.rebuild(ctx, branch, cred, err); err == nil {
			err = f()
		}
	}
	return err
}

// exclusive runs one fetch or push of this repository at a time, with a deadline and with the credential made ready.
func (r *Repository) exclusive(ctx context.Context, auth Auth, f func(context.Context, credential) error) error {
	if err := auth.check(r.remote); err != nil {
		return &FetchError{URL: r.remote.raw, Reason: ErrAuth, Detail: err.Error()}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, r.store.opts.FetchTimeout,
		fmt.Errorf("no end after %s: %w", r.store.opts.FetchTimeout, context.DeadlineExceeded))
	defer cancel()
	for _, tokens := range []chan struct{}{r.fetching, r.store.fetches} {
		select {
		case tokens <- struct{}{}:
			defer func() { <-tokens }()
		case <-ctx.Done():
			return fmt.Errorf("fetch %s: %w", r.remote.raw, context.Cause(ctx))
		case <-r.store.ctx.Done():
			return fmt.Errorf("fetch %s: %w", r.remote.raw, ErrClosed)
		}
	}
	stop := context.AfterFunc(r.store.ctx, cancel) //nolint:contextcheck // Close of the Store ends the fetch as well
	defer stop()
	cred, done, err := r.store.credential(ctx, r.remote, auth)
	if err != nil {
		return err
	}
	defer done()
	r.settle(cred)
	if err := f(ctx, cred); err != nil {
		if errors.Is(err, ErrAuth) {
			r.store.tokens.forget(auth)
		}
		return err
	}
	r.mu.Lock()
	r.auth = auth
	r.mu.Unlock()
	return nil
}

// bring brings the head of a branch here.
func (r *Repository) bring(ctx context.Context, branch string, cred credential) (string, error) {
	hash, err := r.transfer(ctx, "refs/heads/"+branch, cred)
	if err != nil {
		return "", r.explain(ctx, branch, cred, err)
	}
	if !r.Has(ctx, hash) {
		return "", fmt.Errorf("fetch %s of %s: %w: commit %s cannot be read after it came", branch, r.remote.raw, ErrCorrupt, hash)
	}
	return hash, nil
}

// transfer brings one ref of the remote, or a commit by its hash, here and returns its hash. It sets no ref that means
// anything.
func (r *Repository) transfer(ctx context.Context, from string, cred credential) (string, error) {
	var hash string
	err := r.asking(ctx, func() (err error) {
		hash, err = r.transferOnce(ctx, from, cred)
		return err
	})
	return hash, err
}

func (r *Repository) transferOnce(ctx context.Context, from string, cred credential) (string, error) {
	if r.remote.overHTTP() {
		hash, err := r.wireTransfer(ctx, from, cred)
		if !errors.Is(err, errOlder) {
			return hash, err
		}
	}
	if err := r.ensure(ctx, "sha1"); err != nil {
		return "", err
	}
	r.haves(ctx) // to find damage that git would not speak of
	if err := r.program(ctx, r.dir, "+"+from+":"+refIncoming, cred); err != nil {
		return "", err
	}
	hash, ok := r.readRef(refIncoming)
	if !ok {
		return "", fmt.Errorf("%w: %s is not there after a fetch", ErrCorrupt, from)
	}
	return hash, nil
}

// program fetches with the git program into the mirror dir.
func (r *Repository) program(ctx context.Context, dir, refspec string, cred credential) error {
	args := []string{
		"fetch", "--no-tags", "--no-auto-maintenance", "--no-write-fetch-head", "--no-recurse-submodules", "--no-progress",
		"--no-prune", "--", r.fetchURL(), refspec,
	}
	_, err := r.store.git(ctx, run{dir: dir, args: args, config: slices.Concat(cred.config, allowed(r.remote)), env: cred.env, redact: cred.redact})
	return err
}

// allowed lets git speak the one transport of this remote.
func allowed(rem remote) [][2]string {
	return [][2]string{{"protocol." + rem.scheme + ".allow", "always"}}
}

// advance moves our record of the branch. The old head is kept before the new one takes its place, so that a crash in
// between loses neither.
func (r *Repository) advance(ctx context.Context, branch, hash string) (Revision, error) {
	name := refName(refHeads, branch)
	rev := Revision{Hash: hash, Time: r.store.opts.Now()}
	old, ok := r.readRef(name)
	if ok {
		rev.Previous = old
	}
	if old == hash {
		return rev, nil
	}
	if ok {
		descends, err := r.descends(ctx, old, hash)
		if err != nil {
			return Revision{}, err
		}
		if rev.Forced = !descends; rev.Forced {
			if err := r.remember(old); err != nil {
				return Revision{}, err
			}
		}
	}
	return rev, r.writeRef(name, hash)
}

// remember keeps a commit that no branch leads to.
func (r *Repository) remember(hash string) error {
	for name := range listRefs(r.dir, refSeen) {
		if strings.HasSuffix(name, "-"+hash) {
			return nil
		}
	}
	return r.writeRef(seenName(r.store.opts.Now(), hash), hash)
}

// nearby is how many commits are looked at here before git is asked.
const nearby = 32

// descends says whether old is an ancestor of hash. Nearly always it is the parent, or close.
func (r *Repository) descends(ctx context.Context, old, hash string) (bool, error) {
	queue, seen := []string{hash}, map[string]bool{}
	for len(queue) > 0 && len(seen) < nearby {
		next := queue[0]
		queue = queue[1:]
		if next == old {
			return true, nil
		}
		if seen[next] {
			continue
		}
		seen[next] = true
		c, err := r.commit(ctx, next)
		if err != nil {
			return false, err
		}
		queue = append(queue, c.parents...)
	}
	if len(queue) == 0 {
		return false, nil
	}
	_, err := r.store.git(ctx, run{dir: r.dir, args: []string{"merge-base", "--is-ancestor", old, hash}})
	switch {
	case err == nil:
		return true, nil
	case exitCode(err) == 1:
		return false, nil
	}
	if errors.Is(reasonOf(err.Error()), ErrCorrupt) {
		return false, fmt.Errorf("%w: %w", ErrCorrupt, err)
	}
	return false, fmt.Errorf("compare %s with %s: %w", old, hash, err)
}

// explain makes a FetchError of what git said.
func (r *Repository) explain(ctx context.Context, ref string, cred credential, err error) error {
	var known *FetchError
	if errors.As(err, &known) || errors.Is(err, ErrCorrupt) {
		return err
	}
	out := &FetchError{URL: r.remote.raw, Ref: ref}
	var ge *gitError
	switch {
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		out.Reason, out.Detail = ErrUnreachable, context.Cause(ctx).Error()
		return out
	case ctx.Err() != nil:
		return fmt.Errorf("fetch %s of %s: %w", ref, r.remote.raw, context.Cause(ctx))
	case errors.As(err, &ge):
		out.Reason, out.Detail = reasonOf(ge.stderr), lastLines(ge.stderr)
		if out.Reason == nil && ge.stderr == "" {
			out.Detail = ge.Error()
		}
	default:
		out.Detail = cred.redact.clean(err.Error())
	}
	switch {
	case errors.Is(out.Reason, ErrCorrupt):
		return fmt.Errorf("%w: %s", ErrCorrupt, out.Detail)
	case errors.Is(out.Reason, ErrBranchMissing):
		if fullHash.MatchString(ref) {
			out.Reason = ErrRevisionMissing
		} else if r.remoteEmpty(ctx, cred) {
			out.Reason, out.Detail = ErrEmpty, "it has no branch at all"
		}
	}
	return out
}

// remoteEmpty asks whether the remote has any branch; only a missing branch makes it worth a request.
func (r *Repository) remoteEmpty(ctx context.Context, cred credential) bool {
	out, err := r.store.git(ctx, run{
		dir: r.dir, args: []string{"ls-remote", "--heads", "--", r.fetchURL()},
		config: slices.Concat(cred.config, allowed(r.remote)), env: cred.env, redact: cred.redact,
	})
	return err == nil && len(bytes.TrimSpace(out)) == 0
}

// Head is the last observed head of a branch; false when it was never fetched. It asks nobody.
func (r *Repository) Head(branch string) (string, bool) {
	if checkBranch(branch) != nil {
		return "", false
	}
	return r.readRef(refName(refHeads, branch))
}

// FetchRevision brings a commit here that need not be on any branch, if the server gives it away. The hash is a full
// one. It stays under refs/sengu/seen. One that is here already is nothing to whoever may not read the repository, since
// the mirror may hold it because somebody else may: the remote is asked once for each commit and credential.
func (r *Repository) FetchRevision(ctx context.Context, rev string, auth Auth) error {
	if !fullHash.MatchString(rev) {
		return fmt.Errorf("fetch %s: %q is not a full commit hash", r.remote.raw, rev)
	}
	if r.Has(ctx, rev) && r.hasShown(rev, auth) {
		return nil
	}
	err := r.exclusive(ctx, auth, func(ctx context.Context, cred credential) error {
		if r.Has(ctx, rev) {
			return r.admits(ctx, rev, cred)
		}
		if _, err := r.transfer(ctx, rev, cred); err != nil {
			return r.explain(ctx, rev, cred, err)
		}
		if !r.Has(ctx, rev) {
			return &FetchError{URL: r.remote.raw, Ref: rev, Reason: ErrRevisionMissing, Detail: "it is no commit"}
		}
		return r.remember(rev)
	})
	if err == nil {
		r.show(rev, auth)
	}
	return err
}

// FetchTag brings a tag here and returns the commit that it names. Resolve knows it from then on.
func (r *Repository) FetchTag(ctx context.Context, tag string, auth Auth) (string, error) {
	if err := checkBranch(tag); err != nil {
		return "", fmt.Errorf("fetch %s: %q is not the name of a tag", r.remote.raw, tag)
	}
	var hash string
	err := r.exclusive(ctx, auth, func(ctx context.Context, cred credential) error {
		got, err := r.transfer(ctx, "refs/tags/"+tag, cred)
		if err != nil {
			return r.explain(ctx, tag, cred, err)
		}
		if hash, err = r.peel(ctx, got); err != nil {
			return fmt.Errorf("fetch tag %s of %s: %w", tag, r.remote.raw, err)
		}
		return r.writeRef(refName(refTags, tag), got)
	})
	return hash, err
}
