package gitrepo

import (
	"context"
	"errors"
	"fmt"
	"slices"
)

// Proposal is a branch of our own that holds a change of another, for a pull request.
type Proposal struct {
	// Branch is ours, Base the branch that it is to be merged into.
	Branch, Base string
	// Known are the commits that Branch may be at for it to be replaced: those that we pushed there before.
	Known  []string
	Drafts []Draft
}

// Propose makes a commit of each draft on the newest head of the base, and makes the branch just that. A branch that
// exists is replaced only if its head is one of the known commits, or else the error matches ErrForeign: somebody has
// added to it, or we have forgotten what we pushed, which the message of PushError.Head tells. A branch that says the same already, on the same base, is left alone, and drafts that change nothing make
// no branch: Head is then that of the base, and Commits has only "". Errors are those of Write.
func (r *Repository) Propose(ctx context.Context, p Proposal, auth Auth) (Written, error) {
	drafts := slices.Clone(p.Drafts)
	p.Drafts = drafts
	if err := p.check(); err != nil {
		return Written{}, fmt.Errorf("propose to %s: %w", r.remote.raw, err)
	}
	var written Written
	err := r.inTurn(ctx, auth, r.limit, func() (err error) {
		written, err = r.propose(ctx, p, auth)
		return err
	})
	if err != nil {
		return Written{}, err
	}
	return written, nil
}

func (p *Proposal) check() error {
	for _, name := range []string{p.Branch, p.Base} {
		if err := checkBranch(name); err != nil {
			return err
		}
	}
	if p.Branch == p.Base {
		return fmt.Errorf("the branch %s cannot be merged into itself", p.Branch)
	}
	for i := range p.Drafts {
		if err := p.Drafts[i].check(); err != nil {
			return err
		}
	}
	return nil
}

// inTurn runs f while nobody else writes, as often as limit allows for the error that it ends with.
func (r *Repository) inTurn(ctx context.Context, auth Auth, limit func(error) int, f func() error) error {
	if err := auth.check(r.remote); err != nil {
		return &FetchError{URL: r.remote.raw, Reason: ErrAuth, Detail: err.Error()}
	}
	select {
	case r.writes.turn <- struct{}{}:
		defer func() { <-r.writes.turn }()
	case <-ctx.Done():
		return fmt.Errorf("write to %s: %w", r.remote.raw, context.Cause(ctx))
	case <-r.store.ctx.Done():
		return fmt.Errorf("write to %s: %w", r.remote.raw, ErrClosed)
	}
	for try := 1; ; try++ {
		err := f()
		if err == nil || ctx.Err() != nil || try >= limit(err) {
			return err
		}
		if err := r.store.opts.Wait(ctx, backoff(try)); err != nil {
			return fmt.Errorf("write to %s: %w", r.remote.raw, err)
		}
	}
}

func (r *Repository) propose(ctx context.Context, p Proposal, auth Auth) (Written, error) {
	base, err := r.newest(ctx, p.Base, auth)
	if err != nil {
		return Written{}, err
	}
	ref := "refs/heads/" + p.Branch
	current, err := r.glance(ctx, ref, auth)
	if err != nil {
		return Written{}, err
	}
	j := &job{ctx: ctx, drafts: p.Drafts}
	b := r.builder()
	tip, err := j.draft(ctx, b, base, r.store.opts.Now())
	if j.panicked != nil {
		panic(j.panicked)
	}
	if err != nil {
		return Written{}, err
	}
	written := Written{Head: tip, Commits: j.commits}
	if tip == base {
		return written, nil
	}
	if same, err := b.same(ctx, current, tip, base); err != nil || same {
		return Written{Head: current, Commits: b.chain(ctx, current, j.commits)}, err
	}
	if current != "" && !slices.Contains(p.Known, current) {
		return Written{}, &PushError{URL: r.remote.raw, Ref: p.Branch, Head: current, Reason: ErrForeign, Detail: "it is at " + current}
	}
	pack, err := b.pack(tip)
	if err != nil {
		return Written{}, err
	}
	err = r.ship(ctx, shipment{
		ref: ref, old: current, tip: tip, pack: pack,
		record: func(context.Context) error { return r.remember(tip) },
	}, auth)
	return written, err
}

// same says whether two rows of commits on one base say the same, whenever and by whom they were made.
func (b *builder) same(ctx context.Context, current, tip, base string) (bool, error) {
	for current != "" && current != base && tip != base {
		was, wasText, err := b.repo.readWhole(ctx, current)
		if errors.Is(err, ErrUnknownRevision) {
			return false, nil
		}
		if err != nil {
			return false, err
		}
		is, isText, err := b.repo.readWhole(ctx, tip)
		if err != nil {
			return false, err
		}
		if was.tree != is.tree || wasText != isText || len(was.parents) != 1 || len(is.parents) != 1 {
			return false, nil
		}
		current, tip = was.parents[0], is.parents[0]
	}
	return current != "" && current == tip, nil
}

// chain names the commits that stand for the drafts that made one, the newest of which is tip.
func (b *builder) chain(ctx context.Context, tip string, made []string) []string {
	list := slices.Clone(made)
	for i := len(list) - 1; i >= 0; i-- {
		if list[i] == "" {
			continue
		}
		list[i] = tip
		if c, err := b.repo.readCommit(ctx, tip); err == nil && len(c.parents) == 1 {
			tip = c.parents[0]
		}
	}
	return list
}
