package server

import (
	"context"
	"errors"
	"regexp"

	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/render"
)

// commitHash matches the full hash of a commit.
var commitHash = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// bases opens other repositories for the remote bases of kustomizations that a Fleet allows: a commit, or else the head
// of a branch, or else a tag. Only public ones can be read: a Fleet's own credentials are for its own repository.
func bases(store *gitrepo.Store) render.GitOpener {
	return func(ctx context.Context, url, ref string) (render.Source, string, error) {
		repository, err := store.Repository(url)
		if err != nil {
			return nil, "", err
		}
		commit, err := resolve(ctx, repository, ref)
		if err != nil {
			return nil, "", err
		}
		tree, err := repository.Tree(ctx, commit)
		if err != nil {
			return nil, "", err
		}
		return tree, commit, nil
	}
}

func resolve(ctx context.Context, repository *gitrepo.Repository, ref string) (string, error) {
	if commitHash.MatchString(ref) {
		return ref, repository.FetchRevision(ctx, ref, gitrepo.Auth{})
	}
	revision, err := repository.Fetch(ctx, ref, gitrepo.Auth{})
	if errors.Is(err, gitrepo.ErrBranchMissing) {
		return repository.FetchTag(ctx, ref, gitrepo.Auth{})
	}
	return revision.Hash, err
}
