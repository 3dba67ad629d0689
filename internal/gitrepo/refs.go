package gitrepo

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// Where refs are; the package comment says what each holds.
const (
	refHeads    = "refs/sengu/heads/"
	refIncoming = "refs/sengu/incoming"
	refTags     = "refs/sengu/tags/"
	refSeen     = "refs/sengu/seen/"
	refKeep     = "refs/sengu/keep/"
	refStates   = "refs/sengu/state/"
)

var (
	fullHash = regexp.MustCompile(`^(?:[0-9a-f]{40}|[0-9a-f]{64})$`)
	abbrev   = regexp.MustCompile(`^[0-9a-f]{4,64}$`)
	notInRef = regexp.MustCompile(`[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)`)
)

// checkBranch refuses what git refuses, and what would be an option.
func checkBranch(name string) error {
	if name == "" || len(name) > 200 || name == "@" || notInRef.MatchString(name) ||
		strings.HasPrefix(name, "-") || strings.HasPrefix(name, ".") || strings.HasPrefix(name, "/") ||
		strings.HasSuffix(name, "/") || strings.HasSuffix(name, ".") || !printable(name) {
		return fmt.Errorf("%q is not the name of a branch", name)
	}
	return nil
}

func printable(name string) bool {
	return strings.ToValidUTF8(name, "") == name
}

// refName is one path element whatever the branch is called, so that branches a and a/b can follow one another.
func refName(prefix, branch string) string { return prefix + url.PathEscape(branch) }

// readRef gives the hash that a ref of the mirror holds. Refs are read from the files, since a process for each of
// them would cost more than the fetch.
func (r *Repository) readRef(name string) (string, bool) {
	if b, err := os.ReadFile(filepath.Join(r.dir, filepath.FromSlash(name))); err == nil {
		hash := strings.TrimSpace(string(b))
		return hash, fullHash.MatchString(hash)
	}
	hash, ok := readPacked(r.dir)[name]
	return hash, ok
}

func readPacked(dir string) map[string]string {
	refs := map[string]string{}
	b, err := os.ReadFile(filepath.Join(dir, "packed-refs")) //nolint:gosec // within a mirror
	if err != nil {
		return refs
	}
	for line := range strings.Lines(string(b)) {
		hash, name, ok := strings.Cut(strings.TrimSpace(line), " ")
		if ok && fullHash.MatchString(hash) {
			refs[name] = hash
		}
	}
	return refs
}

// listRefs gives every ref below prefix.
func listRefs(dir, prefix string) map[string]string {
	refs := map[string]string{}
	for name, hash := range readPacked(dir) {
		if strings.HasPrefix(name, prefix) {
			refs[name] = hash
		}
	}
	_ = filepath.WalkDir(filepath.Join(dir, filepath.FromSlash(prefix)), func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(p, ".lock") {
			return nil //nolint:nilerr // a ref that cannot be read is as one that is not there, as in readRef
		}
		b, err := os.ReadFile(p) //nolint:gosec // within a mirror
		if hash := strings.TrimSpace(string(b)); err == nil && fullHash.MatchString(hash) {
			if rel, err := filepath.Rel(dir, p); err == nil {
				refs[filepath.ToSlash(rel)] = hash
			}
		}
		return nil
	})
	return refs
}

// writeRef sets a ref the way git does: a lock file beside it, flushed to disk, renamed into its place.
func (r *Repository) writeRef(name, hash string) error {
	p := filepath.Join(r.dir, filepath.FromSlash(name))
	if err := os.MkdirAll(filepath.Dir(p), 0o755); err != nil { //nolint:gosec // as git makes it; the umask and the folder above decide
		return fmt.Errorf("write %s: %w", name, err)
	}
	f, err := os.OpenFile(p+".lock", os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o644) //nolint:gosec // as git makes it; the umask and the folder above decide
	if err != nil {
		return fmt.Errorf("write %s: %w", name, err)
	}
	_, err = f.WriteString(hash + "\n")
	if err == nil {
		err = f.Sync()
	}
	if errClose := f.Close(); err == nil {
		err = errClose
	}
	if err == nil {
		err = os.Rename(p+".lock", p)
	}
	if err != nil {
		_ = os.Remove(p + ".lock")
		return fmt.Errorf("write %s: %w", name, err)
	}
	return nil
}

// seenName is the ref of a head that left its branch, or of a commit that was asked for.
func seenName(at time.Time, hash string) string {
	return fmt.Sprintf("%s%011d-%s", refSeen, at.Unix(), hash)
}
