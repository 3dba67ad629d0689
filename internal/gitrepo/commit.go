package gitrepo

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"
)

// CommitInfo is what a person wants to know of a commit.
type CommitInfo struct {
	Hash    string
	Subject string // first line of the message
	Author  string // name only
	Address string // of the author
	When    time.Time
}

// commitObject is a parsed commit.
type commitObject struct {
	tree    string
	parents []string
	info    CommitInfo
}

// maxCommit bounds the size of a commit or tag that is read, maxTree of one directory, in bytes.
const (
	maxCommit = 4 << 20
	maxTree   = 64 << 20
)

// Commit says who made a commit, when and why.
func (r *Repository) Commit(ctx context.Context, rev string) (CommitInfo, error) {
	c, err := r.commit(ctx, rev)
	if err != nil {
		return CommitInfo{}, fmt.Errorf("read commit %s: %w", rev, err)
	}
	return c.info, nil
}

// Message is the whole message of a commit, with its trailers.
func (r *Repository) Message(ctx context.Context, rev string) (string, error) {
	if !fullHash.MatchString(rev) {
		return "", fmt.Errorf("read message of %q: %w", rev, ErrUnknownRevision)
	}
	_, text, err := r.readWhole(ctx, rev)
	if err != nil {
		return "", fmt.Errorf("read message of %s: %w", rev, err)
	}
	return strings.ToValidUTF8(text, "\uFFFD"), nil
}

// readWhole gives a commit and its message.
func (r *Repository) readWhole(ctx context.Context, hash string) (commitObject, string, error) {
	c, err := r.readCommit(ctx, hash)
	if err != nil {
		return c, "", err
	}
	obj, err := r.readers.get(ctx, hash, true, maxCommit)
	if err != nil {
		return c, "", err
	}
	_, text, _ := strings.Cut(string(obj.data), "\n\n")
	return c, text, nil
}

// Has says whether the mirror has the commit, by its full hash, and the root of its tree.
func (r *Repository) Has(ctx context.Context, rev string) bool {
	if !fullHash.MatchString(rev) {
		return false
	}
	c, err := r.readCommit(ctx, rev)
	if err != nil {
		return false
	}
	_, err = r.tree(ctx, rawHash(c.tree))
	return err == nil
}

// commit reads a commit, from the cache if it can. What one repository has says nothing of another, so that the key
// names the mirror as well.
func (r *Repository) commit(ctx context.Context, rev string) (commitObject, error) {
	if err := context.Cause(ctx); err != nil {
		return commitObject{}, err
	}
	key := "commit " + rev + " " + r.dir
	if v, ok := r.store.cache.get(key); ok {
		return v.(commitObject), nil
	}
	c, err := r.readCommit(ctx, rev)
	if err == nil {
		r.store.cache.put(key, c, int64(200+len(c.info.Subject)+64*len(c.parents)))
	}
	return c, err
}

// readCommit reads a commit from the mirror itself.
func (r *Repository) readCommit(ctx context.Context, rev string) (commitObject, error) {
	if !fullHash.MatchString(rev) {
		return commitObject{}, fmt.Errorf("%w: %q is not a full commit hash", ErrUnknownRevision, rev)
	}
	obj, err := r.readers.get(ctx, rev, true, maxCommit)
	if errors.Is(err, errMissing) {
		return commitObject{}, fmt.Errorf("%w: %s", ErrUnknownRevision, rev)
	}
	if err != nil {
		return commitObject{}, err
	}
	if obj.kind != "commit" || obj.data == nil {
		return commitObject{}, fmt.Errorf("%w: %s is a %s of %d bytes", ErrUnknownRevision, rev, obj.kind, obj.size)
	}
	return parseCommit(rev, string(obj.data))
}

func parseCommit(hash, text string) (commitObject, error) {
	c := commitObject{info: CommitInfo{Hash: hash}}
	head, message, _ := strings.Cut(text, "\n\n")
	for line := range strings.Lines(head) {
		key, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		switch key {
		case "tree":
			c.tree = value
		case "parent":
			c.parents = append(c.parents, value)
		case "author":
			c.info.Author, c.info.Address, c.info.When = parseAuthor(value)
		}
	}
	if !fullHash.MatchString(c.tree) || slices.ContainsFunc(c.parents, func(p string) bool { return !fullHash.MatchString(p) }) {
		return c, fmt.Errorf("%w: commit %s cannot be parsed", ErrCorrupt, hash)
	}
	subject, _, _ := strings.Cut(strings.TrimLeft(message, "\n"), "\n")
	c.info.Subject = strings.ToValidUTF8(strings.TrimSpace(subject), "\uFFFD")
	return c, nil
}

// parseAuthor reads "NAME <MAIL> SECONDS ZONE".
func parseAuthor(value string) (name, address string, when time.Time) {
	name, rest, _ := strings.Cut(value, "<")
	name = strings.ToValidUTF8(strings.TrimSpace(name), "\uFFFD")
	end := strings.LastIndex(rest, ">")
	if end > 0 {
		address = strings.ToValidUTF8(rest[:end], "\uFFFD")
	}
	f := strings.Fields(rest[end+1:])
	if len(f) == 0 {
		return name, address, time.Time{}
	}
	seconds, err := strconv.ParseInt(f[0], 10, 64)
	if err != nil {
		return name, address, time.Time{}
	}
	zone := time.UTC
	if len(f) > 1 && len(f[1]) == 5 {
		if n, err := strconv.Atoi(f[1]); err == nil {
			zone = time.FixedZone(f[1], n/100*3600+n%100*60)
		}
	}
	return name, address, time.Unix(seconds, 0).In(zone)
}

// peel follows tags to the commit that they name.
func (r *Repository) peel(ctx context.Context, hash string) (string, error) {
	for range 8 {
		obj, err := r.readers.get(ctx, hash, true, maxCommit)
		switch {
		case errors.Is(err, errMissing):
			return "", fmt.Errorf("%w: %s", ErrUnknownRevision, hash)
		case err != nil:
			return "", err
		case obj.kind == "commit":
			return hash, nil
		case obj.kind != "tag":
			return "", fmt.Errorf("%w: the tag names a %s", ErrUnknownRevision, obj.kind)
		}
		line, _, _ := strings.Cut(string(obj.data), "\n")
		target, ok := strings.CutPrefix(line, "object ")
		if !ok || !fullHash.MatchString(target) {
			return "", fmt.Errorf("%w: tag %s cannot be parsed", ErrCorrupt, hash)
		}
		hash = target
	}
	return "", fmt.Errorf("%w: tags that name tags", ErrUnknownRevision)
}

// Resolve turns what a person types into a commit hash: a full hash, a branch or tag that was fetched, or the first 4 or
// more digits of a hash. The error matches ErrUnknownRevision or ErrAmbiguous.
func (r *Repository) Resolve(ctx context.Context, name string) (string, error) {
	if fullHash.MatchString(name) {
		if _, err := r.commit(ctx, name); err != nil {
			return "", fmt.Errorf("resolve %s: %w", name, err)
		}
		return name, nil
	}
	if checkBranch(name) == nil {
		if hash, ok := r.readRef(refName(refHeads, strings.TrimPrefix(name, "refs/heads/"))); ok {
			return hash, nil
		}
		if hash, ok := r.readRef(refName(refTags, strings.TrimPrefix(name, "refs/tags/"))); ok {
			return r.peel(ctx, hash)
		}
	}
	if !abbrev.MatchString(name) || !r.exists() {
		return "", fmt.Errorf("resolve %q: %w: it is no branch or tag that was fetched, and no commit", name, ErrUnknownRevision)
	}
	out, err := r.store.git(ctx, run{dir: r.dir, args: []string{"rev-parse", "--disambiguate=" + name}})
	if err != nil {
		return "", fmt.Errorf("resolve %q: %w", name, err)
	}
	var commits []string
	for _, hash := range strings.Fields(string(out)) {
		if obj, err := r.readers.get(ctx, hash, false, 0); err == nil && obj.kind == "commit" {
			commits = append(commits, hash)
		}
	}
	switch len(commits) {
	case 0:
		return "", fmt.Errorf("resolve %q: %w", name, ErrUnknownRevision)
	case 1:
		return commits[0], nil
	}
	return "", fmt.Errorf("resolve %q: %w: %s", name, ErrAmbiguous, strings.Join(commits[:min(len(commits), 5)], ", "))
}

// rawHash is the bytes of a hexadecimal hash, as a string; "" when it is none.
func rawHash(hash string) string {
	b, err := hex.DecodeString(hash)
	if err != nil {
		return ""
	}
	return string(b)
}

// hexHash is the reverse.
func hexHash(raw string) string { return hex.EncodeToString([]byte(raw)) }
