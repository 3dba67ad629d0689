package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// shipment is commits on their way to a ref of the remote.
type shipment struct {
	ref    string // whole name
	old    string // what the ref must be for the push to succeed, "" for no ref at all
	tip    string // what it becomes
	pack   []byte // the objects that the remote may lack
	record func(ctx context.Context) error
}

// ship pushes commits and, when the remote has them, takes them into the mirror and calls record. Until then they are
// beside the mirror only, and gone when the push fails. An error that is no *PushError leaves open whether the remote
// has taken them.
func (r *Repository) ship(ctx context.Context, s shipment, auth Auth) error {
	env, done, err := r.stage(ctx, s.pack)
	if err != nil {
		r.damaged.Store(r.damaged.Load() || errors.Is(err, ErrCorrupt))
		return err
	}
	defer done()
	return r.exclusive(ctx, auth, func(ctx context.Context, cred credential) error {
		if err := r.push(ctx, s, cred, env); err != nil {
			return err
		}
		err := r.unpack(ctx, bytes.NewReader(s.pack))
		if err == nil {
			err = s.record(ctx)
		}
		if err != nil {
			// The remote has it, and the next fetch brings it here.
			r.store.opts.Logger.Warn("what was pushed is not in the mirror yet", "url", r.remote.raw, "ref", s.ref, "err", err)
		}
		return nil
	})
}

// push moves a ref of the remote from what it was to something else, if it still is that. It is never forced further:
// git compares here, and the server once more under its lock.
func (r *Repository) push(ctx context.Context, s shipment, cred credential, env []string) error {
	args := []string{
		"push", "--porcelain", "--no-verify", "--no-progress", "--no-signed", "--no-follow-tags", "--no-recurse-submodules",
		"--force-with-lease=" + s.ref + ":" + s.old, "--", r.fetchURL(), s.tip + ":" + s.ref,
	}
	out, err := r.store.git(ctx, run{
		dir: r.dir, args: args, config: slices.Concat(cred.config, allowed(r.remote)), env: slices.Concat(cred.env, env), redact: cred.redact,
	})
	if err == nil {
		return nil
	}
	e := &PushError{URL: r.remote.raw, Ref: shortRef(s.ref)}
	var ge *gitError
	switch {
	case ctx.Err() != nil && errors.Is(context.Cause(ctx), context.DeadlineExceeded):
		e.Reason, e.Detail = ErrUnreachable, context.Cause(ctx).Error()
	case ctx.Err() != nil:
		return fmt.Errorf("push %s to %s: %w", e.Ref, e.URL, context.Cause(ctx))
	case errors.As(err, &ge):
		e.Detail, e.Reason = pushFailure(cred.redact.clean(string(out)), ge.stderr)
		if e.Reason == nil && e.Detail == "" {
			e.Detail = ge.Error()
		}
	default:
		e.Detail = cred.redact.clean(err.Error())
	}
	if errors.Is(e.Reason, ErrCorrupt) {
		r.damaged.Store(true)
		return fmt.Errorf("push %s to %s: %w: %s", e.Ref, e.URL, ErrCorrupt, e.Detail)
	}
	return e
}

// newest brings the head of a branch here, for a write. A branch that was rewritten is left for Fetch to notice.
func (r *Repository) newest(ctx context.Context, branch string, auth Auth) (string, error) {
	var head string
	err := r.exclusive(ctx, auth, func(ctx context.Context, cred credential) error {
		return r.repairing(ctx, branch, cred, func() error {
			var err error
			if head, err = r.bring(ctx, branch, cred); err == nil {
				err = r.follow(ctx, branch, head)
			}
			return err
		})
	})
	return head, err
}

// follow moves our record of a branch forward, and never elsewhere.
func (r *Repository) follow(ctx context.Context, branch, hash string) error {
	name := refName(refHeads, branch)
	if old, ok := r.readRef(name); ok {
		if old == hash {
			return nil
		}
		if forward, err := r.descends(ctx, old, hash); err != nil || !forward {
			return err
		}
	}
	return r.writeRef(name, hash)
}

// glance brings what a ref of the remote is now here, "" when there is none, and keeps it.
func (r *Repository) glance(ctx context.Context, ref string, auth Auth) (string, error) {
	var hash string
	err := r.exclusive(ctx, auth, func(ctx context.Context, cred credential) error {
		var err error
		hash, err = r.transfer(ctx, ref, cred)
		if err != nil {
			err = r.explain(ctx, shortRef(ref), cred, err)
			if errors.Is(err, ErrBranchMissing) || errors.Is(err, ErrEmpty) {
				hash = ""
				return nil
			}
			return err
		}
		if !r.Has(ctx, hash) {
			return fmt.Errorf("fetch %s of %s: %w: commit %s cannot be read after it came", ref, r.remote.raw, ErrCorrupt, hash)
		}
		if isStateRef(ref) {
			return r.recordState(ctx, ref, hash)
		}
		return r.remember(hash)
	})
	return hash, err
}

// isStateRef says whether a ref is one of our own that holds state.
func isStateRef(ref string) bool { return strings.HasPrefix(ref, "refs/sengu/") }
