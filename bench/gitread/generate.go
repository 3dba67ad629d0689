package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/sengu-dev/sengu/internal/gitrepo/gitserver"
)

// filesOfFolder are the files of one application in one environment.
var filesOfFolder = []string{"kustomization.yaml", "deployment.yaml", "service.yaml", "ingress.yaml", "serviceaccount.yaml"}

func folder(i int) string { return fmt.Sprintf("apps/svc-%04d/overlays/e%d", i/4, i%4) }

func content(folder int, file string, version int) string {
	var b strings.Builder
	fmt.Fprintf(&b, "apiVersion: v1\nkind: X\nmetadata:\n  name: app-%d-%s\n  labels: {app: app-%d, v: '%d'}\nspec:\n", folder, file, folder, version)
	for j := range 20 {
		fmt.Fprintf(&b, "  k%d: value-%d-%s\n", j, folder*7+j, file)
	}
	return b.String()
}

// generate makes the remote, packed as a forge keeps it.
func generate(ctx context.Context, root string, files, commits int) (string, error) {
	dir, err := gitserver.CreateBare(ctx, root, "source.git", "main")
	if err != nil {
		return "", err
	}
	folders := files / len(filesOfFolder)
	r, w := io.Pipe()
	go func() {
		var first bytes.Buffer
		for i := range folders {
			for _, f := range filesOfFolder {
				writeFile(&first, folder(i)+"/"+f, content(i, f, 0))
			}
		}
		err := writeCommit(w, 0, "", first.Bytes())
		for n := 1; n < commits && err == nil; n++ {
			var b bytes.Buffer
			i := n * 37 % folders
			writeFile(&b, folder(i)+"/deployment.yaml", content(i, "deployment.yaml", n))
			err = writeCommit(w, n, "", b.Bytes())
		}
		_ = w.CloseWithError(err)
	}()
	if err := git(ctx, dir, r, "fast-import", "--quiet"); err != nil {
		return "", err
	}
	return dir, git(ctx, dir, nil, "gc", "--quiet")
}

// push adds one commit of one changed file to the remote.
func push(ctx context.Context, dir string, n int) error {
	var b, files bytes.Buffer
	writeFile(&files, folder(n)+"/deployment.yaml", content(n, "deployment.yaml", 1_000_000+n))
	if err := writeCommit(&b, 1_000_000+n, "refs/heads/main^0", files.Bytes()); err != nil {
		return err
	}
	return git(ctx, dir, &b, "fast-import", "--quiet")
}

func writeCommit(w io.Writer, n int, from string, files []byte) error {
	message := fmt.Sprintf("change %d", n)
	if from != "" {
		from = "from " + from + "\n"
	}
	_, err := fmt.Fprintf(w, "commit refs/heads/main\ncommitter A <a@example.com> %d +0000\ndata %d\n%s\n%s%s\n",
		1_700_000_000+n, len(message), message, from, files)
	return err
}

func writeFile(b *bytes.Buffer, name, text string) {
	fmt.Fprintf(b, "M 100644 inline %s\ndata %d\n%s\n", name, len(text), text)
}

func git(ctx context.Context, dir string, stdin io.Reader, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", dir}, args...)...) //nolint:gosec // the commands of this file
	cmd.Stdin = stdin
	cmd.Env = append(os.Environ(), "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null", "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("git %s in %s: %w: %s", args[0], filepath.Base(dir), err, out)
	}
	return nil
}
