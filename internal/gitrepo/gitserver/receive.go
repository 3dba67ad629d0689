package gitserver

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// maxCommands bounds the refs that one push may move.
const maxCommands = 10_000

// command is one line of a push: move ref from before to after.
type command struct{ before, after, ref string }

// receive takes a push, and tells OnPush which branches it moved. What was asked is read from the request, and what
// happened from the ref afterwards, so that a refused command is not reported.
func (s *server) receive(w http.ResponseWriter, r *http.Request, repo string) {
	body, err := decoded(r)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var seen bytes.Buffer
	commands, err := readCommands(io.TeeReader(body, &seen))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	noCache(w, "application/x-git-receive-pack-result")
	_ = http.NewResponseController(w).EnableFullDuplex()
	s.run(w, r, repo, io.MultiReader(&seen, body), "receive-pack", "--stateless-rpc")
	if s.opts.OnPush == nil {
		return
	}
	for _, c := range commands {
		branch, ok := strings.CutPrefix(c.ref, "refs/heads/")
		if ok && currentRef(filepath.Join(s.dir, repo), c.ref) == orNone(c.after) {
			s.opts.OnPush(repo, branch, c.before, c.after)
		}
	}
}

// readCommands reads the pkt-lines of a push up to the flush that ends the commands.
func readCommands(r io.Reader) ([]command, error) {
	var commands []command
	for len(commands) < maxCommands {
		var size [4]byte
		if _, err := io.ReadFull(r, size[:]); err != nil {
			return nil, fmt.Errorf("read push: %w", err)
		}
		n, err := strconv.ParseUint(string(size[:]), 16, 16)
		if err != nil || (n != 0 && n < 4) {
			return nil, fmt.Errorf("read push: bad packet length %q", size)
		}
		if n == 0 {
			return commands, nil
		}
		line := make([]byte, n-4)
		if _, err := io.ReadFull(r, line); err != nil {
			return nil, fmt.Errorf("read push: %w", err)
		}
		text, _, _ := strings.Cut(strings.TrimSuffix(string(line), "\n"), "\x00")
		if f := strings.SplitN(text, " ", 3); len(f) == 3 && strings.HasPrefix(f[2], "refs/") {
			commands = append(commands, command{before: f[0], after: f[1], ref: f[2]})
		}
	}
	return nil, fmt.Errorf("read push: more than %d refs", maxCommands)
}

// currentRef reads a ref from its file, or from the packed ones; "" when there is none.
func currentRef(dir, ref string) string {
	if !filepath.IsLocal(ref) {
		return ""
	}
	if b, err := os.ReadFile(filepath.Join(dir, filepath.FromSlash(ref))); err == nil { //nolint:gosec // the ref is local, as checked above
		return strings.TrimSpace(string(b))
	}
	packed, err := os.ReadFile(filepath.Join(dir, "packed-refs")) //nolint:gosec // within a repository that find has found
	if err != nil {
		return ""
	}
	for line := range strings.Lines(string(packed)) {
		if hash, name, ok := strings.Cut(strings.TrimSpace(line), " "); ok && name == ref {
			return hash
		}
	}
	return ""
}

// orNone turns the hash of zeros, which means that there is no ref, into "".
func orNone(hash string) string {
	if strings.Trim(hash, "0") == "" {
		return ""
	}
	return hash
}
