package origin

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"time"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/layout"
)

// Atlas holds which folder of a Fleet's repository is which service in which environment, and goes from one revision to
// the next at the cost of what changed. The zero value is empty. It is not safe for concurrent use; the maps that it gives
// out stay as they are.
//
// A service whose folders cannot be read, as those in a submodule that is not allowed or whose host is away, stays as it
// was and holds up no other: see Unreadable.
type Atlas struct {
	// Patience is how long Follow waits for what has to be fetched from other repositories, 10 seconds if it is zero. What
	// takes longer goes on, and is taken in by a later Follow.
	Patience time.Duration

	url, layout, revision string
	parsed                layout.Layout
	index                 *layout.Index
	tries                 tries
}

// Step is how an Atlas came to a revision.
type Step struct {
	// From is the revision before, "" if there is none to compare with: then anything may have changed.
	From string
	// Changes are all since From.
	Changes gitrepo.Changes
	// Moved are the services of which a folder came or went since From, or which can be read no more, or again.
	Moved map[string]struct{}
}

// Follow goes to the revision of a tree, and tries again what could not be read before. After an error the Atlas is empty.
func (a *Atlas) Follow(ctx context.Context, fleet *v1alpha1.Fleet, repository *gitrepo.Repository, tree *gitrepo.Tree) (Step, error) {
	if a.url != fleet.Spec.Git.URL || a.layout != fleet.Spec.Layout {
		a.clear()
		a.url, a.layout = fleet.Spec.Git.URL, fleet.Spec.Layout
	}
	step, err := a.follow(ctx, repository, tree)
	if err == nil {
		maps.Copy(step.Moved, a.tries.settle(ctx, a, tree))
		err = ctx.Err() // what was cut off says nothing of the tree
	}
	if err != nil {
		a.clear()
		return Step{}, err
	}
	return step, nil
}

func (a *Atlas) follow(ctx context.Context, repository *gitrepo.Repository, tree *gitrepo.Tree) (Step, error) {
	step := Step{From: a.revision, Moved: map[string]struct{}{}}
	if a.index == nil {
		return Step{Moved: step.Moved}, a.read(tree)
	}
	if a.revision == tree.Revision() {
		return step, nil
	}
	var err error
	step.Changes, err = repository.Diff(ctx, a.revision, tree.Revision())
	if errors.Is(err, gitrepo.ErrUnknownRevision) {
		return Step{Moved: step.Moved}, a.read(tree) // the mirror was made anew, and no branch leads to what was followed before
	}
	if err == nil {
		err = a.goOn(tree, &step)
	}
	if err != nil {
		return Step{}, fmt.Errorf("find what changed in the repository since %.7s: %w", step.From, err)
	}
	a.revision = tree.Revision()
	return step, nil
}

// goOn goes to a tree by what has changed.
func (a *Atlas) goOn(tree *gitrepo.Tree, step *Step) (err error) {
	if step.Moved, err = a.index.Follow(tree.Reaching(nil), changes(step.Changes)); err == nil {
		return nil
	}
	moved, err := a.index.Follow(tree, changes(step.Changes)) // as in read
	maps.Copy(step.Moved, moved)
	return err
}

// read takes in all of a tree. What lies in another repository is left to those tries that nobody waits long for, unless it
// is what leads to every service.
func (a *Atlas) read(tree *gitrepo.Tree) (err error) {
	if a.parsed, err = layout.Parse(a.layout); err != nil {
		return err
	}
	if a.index, err = layout.NewIndex(a.parsed, tree.Reaching(nil)); err != nil {
		a.index, err = layout.NewIndex(a.parsed, tree)
	}
	a.revision = tree.Revision()
	return err
}

// clear forgets everything but how long to wait.
func (a *Atlas) clear() {
	a.tries.end()
	*a = Atlas{Patience: a.Patience}
}

func changes(all gitrepo.Changes) iter.Seq[layout.Change] {
	return func(yield func(layout.Change) bool) {
		for c := range all.All() {
			if !yield(layout.Change{Path: c.Path, Was: c.From != "", Is: c.To != "", Folder: c.Dir}) {
				return
			}
		}
	}
}

// Places returns the folders of a service by environment.
func (a *Atlas) Places(service string) map[string]layout.Place { return a.index.Places(service) }

// All gives every service with its folders by environment, in no order.
func (a *Atlas) All() iter.Seq2[string, map[string]layout.Place] { return a.index.All() }

// Unreadable returns the services of which a folder cannot be read, and why. Their places are those that were known when
// they could be read last, and nothing is to be concluded from them. It is empty as long as nothing was followed.
func (a *Atlas) Unreadable() map[string]error {
	if a.index == nil {
		return nil
	}
	return a.index.Unreadable()
}
