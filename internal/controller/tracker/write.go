package tracker

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/controller/scribe"
	"github.com/sengu-dev/sengu/internal/delivery"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/image"
	"github.com/sengu-dev/sengu/internal/layout"
)

const (
	// mostDrafts is how many commits go out in one push.
	mostDrafts = 100
	// firstPause and lastPause bound how long a remote is left alone that took no push.
	firstPause = 10 * time.Second
	lastPause  = 10 * time.Minute
	// breath is how long nothing is written after a push that had nothing to change: the branch has moved, and is read anew.
	breath = 5 * time.Second
	// writeTimeout bounds one push with all its tries.
	writeTimeout = 5 * time.Minute
)

// change is what one slot becomes.
type change struct {
	// slot is that by which it was decided. Another one is in its place once the files have been read anew.
	slot         *slot
	place        scribe.Place
	environments []string
	folder       string
	environment  string
	image        delivery.Image
	repository   string
	from, to     image.Reference
	choice       image.Candidate
	why          string
}

// commit is what a service becomes.
type commit struct {
	service string
	changes []change
	// problems are what kept changes from being made, by place, and made those that were. They are of the last try.
	problems map[scribe.Place]string
	made     []change
}

// wrote is a push that has ended. With an error, some of the commits may have been made nevertheless.
type wrote struct {
	commits []*commit
	// hashes of the commits, "" for one that was not made.
	hashes []string
	err    error
}

// some reports whether a commit was made.
func (w wrote) some() bool {
	return slices.ContainsFunc(w.hashes, func(hash string) bool { return hash != "" })
}

// write starts to push what was decided.
func (r *Reconciler) write(fleet *v1alpha1.Fleet, st *state) {
	if st.writing || r.Clock.Now().Before(st.writeAfter) {
		return
	}
	commits := st.commits()
	if len(commits) == 0 {
		return
	}
	commits = commits[:min(len(commits), mostDrafts)]
	st.writing = true
	fleet = fleet.DeepCopy()
	name := nameOf(fleet)
	r.crew.do(func(ctx context.Context) {
		limited, cancel := context.WithTimeout(ctx, writeTimeout)
		defer cancel()
		hashes, err := r.push(limited, fleet, commits)
		if ctx.Err() != nil {
			return // the process ends
		}
		st.mail.write(wrote{commits, hashes, err})
		r.waker.Wake(name)
	})
}

// commits are what is to be written, a commit for each service. One of whose images a registry is just being asked about
// waits: what belongs together comes in one commit.
func (st *state) commits() []*commit {
	by, asked := map[string]*commit{}, map[string]bool{}
	for _, s := range st.slots {
		if of := st.subjects[s.repository]; of != nil && of.looking {
			asked[s.service] = true
		}
	}
	for _, s := range st.slots {
		if asked[s.service] || s.problem != "" || s.dirty || s.chosen == nil || s.refuses() {
			continue // one that is dirty is decided anew first
		}
		if by[s.service] == nil {
			by[s.service] = &commit{service: s.service, problems: map[scribe.Place]string{}}
		}
		by[s.service].changes = append(by[s.service].changes, change{
			slot: s, place: s.place, environments: s.environments, folder: s.folder, environment: s.environment, image: s.image, repository: s.repository,
			from: s.now, to: *s.chosen, choice: s.choice, why: s.why,
		})
	}
	commits := make([]*commit, 0, len(by))
	for _, service := range slices.Sorted(maps.Keys(by)) {
		slices.SortFunc(by[service].changes, byPlace)
		commits = append(commits, by[service])
	}
	return commits
}

// push writes commits to the branch. It returns their hashes.
func (r *Reconciler) push(ctx context.Context, fleet *v1alpha1.Fleet, commits []*commit) ([]string, error) {
	repository, err := r.Repositories.Repository(fleet.Spec.Git.URL)
	if err != nil {
		return nil, err
	}
	auth, err := origin.Auth(ctx, r.Client, fleet)
	if err != nil {
		return nil, err
	}
	drafts := make([]gitrepo.Draft, 0, len(commits))
	for _, c := range commits {
		message, trailers := c.text()
		draft, err := scribe.Draft(ctx, r.Client, fleet, message, trailers...)
		if err != nil {
			return nil, err
		}
		draft.Edits = []gitrepo.EditFunc{func(ctx context.Context, tree fs.FS) (map[string][]byte, error) { return r.edit(ctx, fleet, c, tree) }}
		drafts = append(drafts, draft)
	}
	hashes, err := writeAll(ctx, repository, fleet.Spec.Git.Branch, auth, drafts)
	if err != nil && !(wrote{hashes: hashes}).some() {
		return hashes, err
	}
	// Also if nothing was written: the branch has moved then, or was rewritten.
	if err := r.Pushed(ctx, fleet.Spec.Git.URL); err != nil {
		r.Log.Error("the Fleets were not told of a commit, and will notice it", "fleet", fleet.Name, "error", err)
	}
	return hashes, err
}

// writeAll writes all drafts in one push. If one of them cannot be made, the others are written without it, and the error
// is that of the first that was not. What keeps an edit from being made for good is no error: the edit says it.
func writeAll(ctx context.Context, repository *gitrepo.Repository, branch string, auth gitrepo.Auth, drafts []gitrepo.Draft) ([]string, error) {
	hashes := make([]string, len(drafts))
	written, err := repository.Write(ctx, branch, auth, drafts...)
	switch {
	case err == nil:
		return written.Commits, nil
	case len(drafts) == 1 || ofRemote(ctx, err):
		return hashes, err
	}
	var failed error
	for i := range drafts {
		written, err := repository.Write(ctx, branch, auth, drafts[i])
		switch {
		case err == nil:
			hashes[i] = written.Commits[0]
		case ofRemote(ctx, err):
			return hashes, err
		case failed == nil:
			failed = err
		}
	}
	return hashes, failed
}

// ofRemote reports whether an error concerns every commit.
func ofRemote(ctx context.Context, err error) bool {
	var pushed *gitrepo.PushError
	var fetched *gitrepo.FetchError
	return ctx.Err() != nil || errors.As(err, &pushed) || errors.As(err, &fetched) || errors.Is(err, gitrepo.ErrSigningKey) ||
		errors.Is(err, gitrepo.ErrClosed) || errors.Is(err, gitrepo.ErrCorrupt) || errors.Is(err, errAside)
}

// errAside marks what an edit needs beside the files.
var errAside = errors.New("the Fleet cannot be read")

// edit says what a commit changes of tree, which may be newer than what was decided by: what somebody has written
// meanwhile, or tracks in another way, is left alone and decided anew.
func (r *Reconciler) edit(ctx context.Context, fleet *v1alpha1.Fleet, c *commit, tree fs.FS) (map[string][]byte, error) {
	c.problems, c.made = map[scribe.Place]string{}, nil
	source, ok := tree.(*gitrepo.Tree)
	if !ok {
		return nil, fmt.Errorf("write images of %s: the tree is none of a repository", c.service)
	}
	now := &v1alpha1.Fleet{}
	if err := r.Client.Get(ctx, nameOf(fleet), now); err != nil {
		return nil, errors.Join(errAside, err)
	}
	if now.Spec.Suspend || !now.DeletionTimestamp.IsZero() || now.Generation != fleet.Generation {
		return nil, nil
	}
	changed := map[string][]byte{}
	for _, ch := range c.changes {
		if !ch.holds(source, fleet, c.service) {
			continue
		}
		next, problem := ch.put(source, changed)
		if problem != "" {
			c.problems[ch.place] = problem
			continue
		}
		changed, c.made = next, append(c.made, ch)
	}
	return changed, nil
}

// holds reports whether what a change was decided by is still so.
func (ch change) holds(source *gitrepo.Tree, fleet *v1alpha1.Fleet, service string) bool {
	images, err := tracked(source, fleet, layout.Place{Service: service, Environment: ch.environment, Path: ch.folder})
	i := slices.IndexFunc(images, func(is delivery.Image) bool { return is.Name == ch.image.Name })
	if err != nil || i < 0 {
		return false
	}
	is := images[i]
	if is.Repository != ch.image.Repository || is.Track != ch.image.Track || is.Update != ch.image.Update {
		return false
	}
	now, err := scribe.Read(source, is, ch.folder)
	return err == nil && now == ch.from
}

// put adds a change to what others have changed. It returns a sentence if it cannot be made.
func (ch change) put(source *gitrepo.Tree, changed map[string][]byte) (next map[string][]byte, problem string) {
	next = maps.Clone(changed)
	if err := scribe.Put(source, next, ch.image, ch.folder, ch.to); err != nil {
		return nil, err.Error()
	}
	after, err := scribe.Read(scribe.Over(source, next), ch.image, ch.folder)
	if err != nil {
		return nil, err.Error()
	}
	if !says(after, ch.to) {
		return nil, fmt.Sprintf("%s has no room for the digest of %s, which is followed by it: mark a field for the digest, or for the whole image", ch.place.File, ch.image.Name)
	}
	return next, ""
}

// wrote takes in what pushes have come to. What failed is tried again, ever later while nothing is written at all.
func (r *Reconciler) wrote(fleet *v1alpha1.Fleet, st *state, pushes []wrote) {
	for _, w := range pushes {
		st.writing = false
		if w.err == nil || w.some() {
			st.writeFailures = 0
		}
		switch {
		case w.err != nil:
			st.writeFailures++
			wait := min(firstPause<<min(st.writeFailures-1, 10), lastPause)
			st.writeAfter = r.Clock.Now().Add(wait - part(wait/5))
			r.tellAs(fleet, st, "git", "ImagesNotWritten", sameFailure(w.err), w.err.Error())
		case !w.some():
			st.writeAfter = r.Clock.Now().Add(breath)
		}
		if w.err == nil {
			st.untell("git")
		}
		for i, c := range w.commits {
			hash := ""
			if i < len(w.hashes) {
				hash = w.hashes[i]
			}
			r.committed(fleet, st, c, hash)
		}
	}
}

// committed says what was written of a service, and what could not be.
func (r *Reconciler) committed(fleet *v1alpha1.Fleet, st *state, c *commit, hash string) {
	for _, ch := range c.changes {
		problem, failed := c.problems[ch.place]
		s := st.slots[ch.place]
		if !failed || s == nil || s != ch.slot {
			continue // one that has been read anew may be written now
		}
		s.refused = refusal{from: ch.from, to: ch.to, problem: problem}
		r.tell(fleet, st, s.about(), "ImageNotWritten", problem)
	}
	if hash == "" {
		return
	}
	done := commit{service: c.service, changes: c.made}
	sentence := fmt.Sprintf("%s, written to Git in %.7s", done.subject(), hash)
	r.Log.Info("images were written", "namespace", fleet.Namespace, "fleet", fleet.Name, "service", c.service, "commit", hash, "what", done.subject())
	r.event(fleet, st, corev1.EventTypeNormal, "ImagesWritten", sentence)
}

// sameFailure is the same for two failures of a push that are to be told once.
func sameFailure(err error) string {
	var pushed *gitrepo.PushError
	if errors.As(err, &pushed) && pushed.Reason != nil {
		return pushed.Reason.Error()
	}
	return err.Error()
}
