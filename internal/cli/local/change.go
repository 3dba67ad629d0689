package local

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// changeFile is a change of the repository that `sengu up` pushes once all of it is delivered, so that there is a change
// to follow: a patch, whose first line is the message of its commit.
const changeFile = "change.patch"

// Change pushes the change that the folder of a repository offers, once. It returns the commit, "" if there is nothing
// to push or it was pushed before.
func Change(ctx context.Context, dir Dir, state State) (commit string, err error) {
	patch := filepath.Join(state.Repository, objectsFolder, changeFile)
	text, err := os.ReadFile(patch) //nolint:gosec // a folder that the person named
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the change to push: %w", err)
	}
	title, _, _ := strings.Cut(string(text), "\n")
	git := gitProgram{
		dir: filepath.Join(dir.gitDir(), repositoryName(state.Repository)), tree: state.Repository,
		index: filepath.Join(dir.gitDir(), "index.change"),
	}
	defer func() { _ = os.Remove(git.index) }()
	ref := "refs/heads/" + branch
	head, err := git.run(ctx, "rev-parse", "--verify", "--quiet", ref)
	if err != nil {
		return "", fmt.Errorf("read the branch of the repository: %w", err)
	}
	if _, err := git.run(ctx, "read-tree", head); err != nil {
		return "", fmt.Errorf("read the repository: %w", err)
	}
	if _, err := git.run(ctx, "apply", "--cached", patch); err != nil {
		return "", nil // it was pushed before, or somebody has changed the same lines since
	}
	tree, err := git.run(ctx, "write-tree")
	if err != nil {
		return "", fmt.Errorf("commit the change: %w", err)
	}
	if commit, err = git.run(ctx, "commit-tree", "-p", head, "-m", title, tree); err != nil {
		return "", fmt.Errorf("commit the change: %w", err)
	}
	// A push, and not a change of the ref: so that it is announced as every push is.
	if _, err := git.run(ctx, "push", "--quiet", state.CloneURL, commit+":"+ref); err != nil {
		return "", fmt.Errorf("push the change: %w", err)
	}
	return commit, nil
}
