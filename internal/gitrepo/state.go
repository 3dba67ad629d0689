package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// State is what a ref of our own says: files, and the commits that it keeps from being lost.
type State struct {
	// Hash of the commit that holds it.
	Hash string
	// Files by their path.
	Files map[string][]byte
	// Parents of the commit: the state before, and the commits that it keeps.
	Parents []string

	size int64 // of the files read so far, in bytes
	seen int   // entries read so far
}

// StateUpdate is a state that is to be written.
type StateUpdate struct {
	// Ref is below refs/sengu/, or for forges that take nothing but branches below refs/heads/sengu/.
	Ref string
	// Files are all that the state holds or, with Changes, those of Lease's that become other ones: nil takes one away.
	Files   map[string][]byte
	Changes bool
	// Keep are commits that stay on the remote for as long as the ref is there, whatever happens to their branches. They must
	// have been fetched.
	Keep []string
	// Lease is the commit that the ref must be at, "" when it must not exist.
	Lease string
	// Author, Message and Key are those of the commit.
	Author  Identity
	Message string
	Key     *SigningKey
}

// Bounds of a state.
const (
	maxState     = 16 << 20 // bytes written at once
	maxStateKeep = 4096     // commits kept by one state
	// Changes make a state grow beyond what is written at once, and it must be readable all the same.
	maxStateRead  = 4 * maxState
	maxStateFiles = 4 * maxFiles
)

func checkStateRef(ref string) error {
	for _, prefix := range []string{"refs/sengu/", "refs/heads/sengu/"} {
		if rest, ok := strings.CutPrefix(ref, prefix); ok && checkBranch(rest) == nil {
			return nil
		}
	}
	return fmt.Errorf("%q is not a ref of ours: it is below refs/sengu/ or refs/heads/sengu/", ref)
}

// PushState writes a state as a commit on a ref of our own, and returns the commit. Its parents are the one of the lease
// and those to be kept, so that neither a force-push nor a collection of garbage on the remote loses what the state names.
// The ref moves only if it is what the lease says; if not, the error matches ErrRace, and whoever wants to write fetches
// the state first. A state that is the same already, with the same commits kept, makes no commit.
func (r *Repository) PushState(ctx context.Context, u StateUpdate, auth Auth) (string, error) {
	d := Draft{Author: u.Author, Message: u.Message, Key: u.Key, Edits: []EditFunc{nil}}
	err := errors.Join(checkStateRef(u.Ref), d.check(), u.check())
	if err != nil {
		return "", fmt.Errorf("push state to %s: %w", r.remote.raw, err)
	}
	limit := func(err error) int {
		if errors.Is(err, ErrRace) {
			return 1 // what is written depends on what was there, which the caller looks at again
		}
		return r.limit(err)
	}
	hash, sent := "", []string{}
	err = r.inTurn(ctx, auth, limit, func() (err error) {
		hash, err = r.pushState(ctx, u, &d, auth)
		if sent = append(sent, hash); !errors.Is(err, ErrRace) || hash == "" {
			return err
		}
		// A push whose answer was lost looks like somebody else's.
		if now, again := r.glance(ctx, u.Ref, auth); again == nil && slices.Contains(sent, now) {
			hash = now
			return nil
		}
		return err
	})
	if err != nil {
		return "", err
	}
	return hash, nil
}

func (u *StateUpdate) check() error {
	size := 0
	for p, data := range u.Files {
		if data == nil && !u.Changes {
			return fmt.Errorf("the file %s of the state has no content", p)
		}
		size += len(data)
	}
	switch {
	case len(u.Files) == 0:
		return errors.New("the state has no file")
	case u.Changes && u.Lease == "":
		return errors.New("changes to a state need the state that they change")
	case size > maxState || len(u.Files) > maxFiles:
		return fmt.Errorf("the state has %d files and %d bytes, and %d files and %d bytes are allowed", len(u.Files), size, maxFiles, maxState)
	case len(u.Keep) > maxStateKeep:
		return fmt.Errorf("the state keeps %d commits, and %d are allowed", len(u.Keep), maxStateKeep)
	}
	for _, hash := range append([]string{u.Lease}, u.Keep...) {
		if hash != "" && !fullHash.MatchString(hash) {
			return fmt.Errorf("%q is not a full commit hash", hash)
		}
	}
	return nil
}

func (r *Repository) pushState(ctx context.Context, u StateUpdate, d *Draft, auth Auth) (string, error) {
	if u.Lease != "" && !r.Has(ctx, u.Lease) {
		now, err := r.glance(ctx, u.Ref, auth)
		if err != nil {
			return "", err
		}
		if now != u.Lease {
			return "", &PushError{URL: r.remote.raw, Ref: shortRef(u.Ref), Reason: ErrRace, Detail: "it is at " + orNothing(now)}
		}
	}
	var parents []string
	for _, hash := range append([]string{u.Lease}, u.Keep...) {
		if hash == "" || slices.Contains(parents, hash) {
			continue
		}
		if !r.Has(ctx, hash) {
			return "", fmt.Errorf("push state to %s: keep %s: %w: fetch it first", r.remote.raw, hash, ErrUnknownRevision)
		}
		parents = append(parents, hash)
	}
	if len(parents) == 0 && !r.exists() {
		return "", fmt.Errorf("push state to %s: %w: fetch a branch first", r.remote.raw, ErrUnknownRevision)
	}
	var was commitObject
	if u.Lease != "" {
		var err error
		if was, err = r.readCommit(ctx, u.Lease); err != nil {
			return "", err
		}
	}
	b, onto := r.builder(), ""
	if u.Changes {
		onto = was.tree
	}
	tree, err := b.change(ctx, onto, u.Files)
	if err != nil {
		return "", fmt.Errorf("push state to %s: %w", r.remote.raw, err)
	}
	known := func(p string) bool { return p == u.Lease || slices.Contains(was.parents, p) }
	if was.tree == tree && !slices.ContainsFunc(parents, func(p string) bool { return !known(p) }) {
		return u.Lease, nil
	}
	hash, err := b.commit(d, tree, parents, r.store.opts.Now())
	if err != nil {
		return "", err
	}
	pack, err := b.pack(hash)
	if err != nil {
		return "", err
	}
	return hash, r.ship(ctx, shipment{
		ref: u.Ref, old: u.Lease, tip: hash, pack: pack,
		record: func(ctx context.Context) error { return r.recordState(ctx, u.Ref, hash) },
	}, auth)
}

func orNothing(hash string) string {
	if hash == "" {
		return "nothing"
	}
	return hash
}

// recordState notes what a state ref of the remote is. One that was not built on is kept like the head of a branch.
func (r *Repository) recordState(ctx context.Context, ref, hash string) error {
	name := refName(refStates, ref)
	if old, ok := r.readRef(name); ok && old != hash {
		forward, err := r.descends(ctx, old, hash)
		if err != nil {
			return err
		}
		if !forward {
			if err := r.remember(old); err != nil {
				return err
			}
		}
	}
	return r.writeRef(name, hash)
}

// FetchState brings a state here, with every commit that it keeps, so that each of them can be opened with Tree. The
// error matches ErrStateMissing when the remote has no such ref.
func (r *Repository) FetchState(ctx context.Context, ref string, auth Auth) (State, error) {
	if err := checkStateRef(ref); err != nil {
		return State{}, fmt.Errorf("fetch state of %s: %w", r.remote.raw, err)
	}
	hash, err := r.glance(ctx, ref, auth)
	if err != nil {
		return State{}, err
	}
	if hash == "" {
		return State{}, &FetchError{URL: r.remote.raw, Ref: ref, Reason: ErrStateMissing}
	}
	c, err := r.commit(ctx, hash)
	if err != nil {
		return State{}, fmt.Errorf("read state %s: %w", ref, err)
	}
	for _, p := range c.parents {
		if !r.Has(ctx, p) {
			return State{}, fmt.Errorf("read state %s: %w: commit %s that it keeps is missing", ref, ErrCorrupt, p)
		}
	}
	s := State{Hash: hash, Files: map[string][]byte{}, Parents: slices.Clone(c.parents)}
	if err := r.readState(ctx, &s, "", rawHash(c.tree)); err != nil {
		return State{}, fmt.Errorf("read state %s of %s: %w", ref, r.remote.raw, err)
	}
	return s, nil
}

// readState reads the files of a directory. What we do not write there ourselves is refused, since others may write to
// the remote as well.
func (r *Repository) readState(ctx context.Context, s *State, at, dir string) error {
	es, err := r.tree(ctx, dir)
	if err != nil {
		return err
	}
	for _, e := range es {
		p := at + e.name
		s.seen++
		switch {
		case e.isDir() && strings.Count(p, "/") < maxDepth:
			err = r.readState(ctx, s, p+"/", e.hash)
		case e.mode&modeType != modeFile&modeType:
			err = fmt.Errorf("%w: %s is %s", ErrRejected, p, e.what())
		default:
			var obj object
			if obj, err = r.blob(ctx, e.hash); err == nil && obj.data == nil {
				err = &TooLargeError{Path: p, Size: obj.size, Limit: r.store.opts.MaxBlob}
			}
			s.Files[p] = bytes.Clone(obj.data)
			s.size += obj.size
		}
		if err == nil && (s.size > maxStateRead || len(s.Files) > maxStateFiles || s.seen > 2*maxStateFiles) {
			err = fmt.Errorf("%w: it has more than %d files or %d bytes", ErrRejected, maxStateFiles, maxStateRead)
		}
		if err != nil {
			return err
		}
	}
	return nil
}
