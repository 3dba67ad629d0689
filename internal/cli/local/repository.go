package local

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

// branch of the repository that is served.
const branch = "main"

// makeRepository makes the bare repository name below dir, with one commit that holds the files of folder. One that
// exists already is left as it is: it may hold what somebody has pushed.
func makeRepository(ctx context.Context, dir, name, folder string) (made bool, err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return false, fmt.Errorf("make the folder of the Git repository: %w", err)
	}
	repo, err := gitserver.CreateBare(ctx, dir, name, branch)
	if err != nil {
		return false, err
	}
	git := gitProgram{dir: repo, tree: folder, index: filepath.Join(dir, "index.new")}
	ref := "refs/heads/" + branch
	if _, err := git.run(ctx, "rev-parse", "--verify", "--quiet", ref); err == nil {
		return false, nil
	}
	defer func() { _ = os.Remove(git.index) }()
	if _, err := git.run(ctx, "add", "--all", "--force", "."); err != nil {
		return false, fmt.Errorf("commit %s: %w", folder, err)
	}
	tree, err := git.run(ctx, "write-tree")
	if err != nil {
		return false, fmt.Errorf("commit %s: %w", folder, err)
	}
	commit, err := git.run(ctx, "commit-tree", "-m", "Begin with the example fleet", tree)
	if err != nil {
		return false, fmt.Errorf("commit %s: %w", folder, err)
	}
	if _, err := git.run(ctx, "update-ref", ref, commit); err != nil {
		return false, fmt.Errorf("commit %s: %w", folder, err)
	}
	return true, nil
}

// gitProgram runs git on a bare repository with a working tree elsewhere.
type gitProgram struct{ dir, tree, index string }

// run returns what git prints, without the line break at the end. Git sees nothing of the person's own settings.
func (g gitProgram) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, "git", args...) //nolint:gosec // the arguments are those above
	cmd.Dir = g.tree
	cmd.Env = []string{
		"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "LC_ALL=C",
		"GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=" + os.DevNull, "GIT_TERMINAL_PROMPT=0",
		"GIT_DIR=" + g.dir, "GIT_WORK_TREE=" + g.tree, "GIT_INDEX_FILE=" + g.index,
		"GIT_AUTHOR_NAME=sengu up", "GIT_AUTHOR_EMAIL=sengu@localhost",
		"GIT_COMMITTER_NAME=sengu up", "GIT_COMMITTER_EMAIL=sengu@localhost",
	}
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("git %s: %w: %s", args[0], err, strings.TrimSpace(stderr.String()))
	}
	return strings.TrimSpace(string(out)), nil
}
