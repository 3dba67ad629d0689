package origin

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/layout"
)

// Atlas holds which folder of a Fleet's repository is which service in which environment, and goes from one revision to
// the next at the cost of what changed. The zero value is empty. It is not safe for concurrent use; the maps that it gives
// out stay as they are.
type Atlas struct {
	url, layout, revision string
	index                 *layout.Index
}

// Step is how an Atlas came to a revision.
type Step struct {
	// From is the revision before, "" if there is none to compare with: then anything may have changed.
	From string
	// Changes are all since From.
	Changes gitrepo.Changes
	// Moved are the services of which a folder came or went since From.
	Moved map[string]struct{}
}

// Follow goes to the revision of a tree. After an error the Atlas is empty.
func (a *Atlas) Follow(ctx context.Context, fleet *v1alpha1.Fleet, repository *gitrepo.Repository, tree *gitrepo.Tree) (Step, error) {
	if a.url != fleet.Spec.Git.URL || a.layout != fleet.Spec.Layout {
		*a = Atlas{url: fleet.Spec.Git.URL, layout: fleet.Spec.Layout}
	}
	if a.index == nil {
		return Step{}, a.read(tree)
	}
	step := Step{From: a.revision}
	if a.revision == tree.Revision() {
		return step, nil
	}
	var err error
	step.Changes, err = repository.Diff(ctx, a.revision, tree.Revision())
	if errors.Is(err, gitrepo.ErrUnknownRevision) {
		return Step{}, a.read(tree) // the mirror was made anew, and no branch leads to what was followed before
	}
	if err == nil {
		step.Moved, err = a.index.Follow(tree, changes(step.Changes))
	}
	if err != nil {
		*a = Atlas{}
		return Step{}, fmt.Errorf("find what changed in the repository since %.7s: %w", step.From, err)
	}
	a.revision = tree.Revision()
	return step, nil
}

// read takes in all of a tree.
func (a *Atlas) read(tree *gitrepo.Tree) error {
	a.index = nil
	parsed, err := layout.Parse(a.layout)
	if err != nil {
		return err
	}
	a.index, err = layout.NewIndex(parsed, tree)
	a.revision = tree.Revision()
	return err
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
