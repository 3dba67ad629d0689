package release

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"time"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/controller/scribe"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/release"
	"github.com/sengu-dev/sengu/internal/render"
)

const (
	// pens is how many changes are written to Git at once. Those of one repository go out together.
	pens = 32
	// rewriteFirst and rewriteLast bound how long a change waits that could not be written, which doubles each time.
	rewriteFirst, rewriteLast = 5 * time.Second, 5 * time.Minute
	// lookAgain is how often is asked what has become of a change that the branch does not have yet: whether its pull
	// request is open, and whether its commit is there, which a force-push takes away.
	lookAgain = 5 * time.Minute
)

// desk writes changes to Git beside the Reconciles, which never wait for a remote.
type desk struct {
	group sync.WaitGroup

	mu     sync.Mutex
	slots  chan struct{}
	closed bool
	papers map[release.Place]*paper
}

// paper is one change, and what has become of it.
type paper struct {
	busy bool
	// asked is what the change was to say when it was written last, and result what that came to.
	asked  string
	result *release.Written
	// next is when it is tried, or looked after, again. Failures counts the tries that failed.
	next     time.Time
	failures int
}

// results returns what has become of the changes of Releases.
func (d *desk) results(releases []*v1alpha1.Release) map[release.Place]release.Written {
	d.mu.Lock()
	defer d.mu.Unlock()
	found := map[release.Place]release.Written{}
	for _, one := range releases {
		for _, env := range one.Spec.Environments {
			at := release.Place{Release: one.Name, Environment: env.Name}
			if p := d.papers[at]; p != nil && p.result != nil {
				found[at] = *p.result
			}
		}
	}
	return found
}

// begin reports whether a change is to be written now, and when it is to be looked after if not.
func (d *desk) begin(at release.Place, asked string, now time.Time) (bool, time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.papers == nil {
		d.papers, d.slots = map[release.Place]*paper{}, make(chan struct{}, pens)
	}
	p := d.papers[at]
	if p == nil {
		p = &paper{}
		d.papers[at] = p
	}
	if d.closed || p.busy {
		return false, time.Time{}
	}
	due := p.asked != asked && p.failures == 0 || !p.next.IsZero() && !now.Before(p.next)
	if !due {
		return false, p.next
	}
	p.busy, p.asked = true, asked
	return true, time.Time{}
}

// end takes in what has become of a change.
func (d *desk) end(at release.Place, result release.Written, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.papers[at]
	if p == nil {
		return // its Release has ended meanwhile
	}
	p.busy, p.result = false, &result
	if result.Problem != "" {
		p.next = now.Add(min(rewriteFirst<<min(p.failures, 10), rewriteLast))
		p.failures++
		return
	}
	p.next, p.failures = now.Add(lookAgain), 0
}

// give takes back that a change is being written.
func (d *desk) give(at release.Place) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if p := d.papers[at]; p != nil {
		p.busy, p.asked = false, ""
	}
}

// forget drops the changes of a Release.
func (d *desk) forget(one *v1alpha1.Release) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, env := range one.Spec.Environments {
		delete(d.papers, release.Place{Release: one.Name, Environment: env.Name})
	}
}

// close waits until nothing is written any more. The context of those who write has to have ended.
func (d *desk) close() {
	d.mu.Lock()
	d.closed = true
	d.mu.Unlock()
	d.group.Wait()
}

// change is one change that Git should hold.
type change struct {
	fleet   *v1alpha1.Fleet
	release *v1alpha1.Release
	env     v1alpha1.ReleaseEnvironment
	at      v1alpha1.ReleaseEnvironmentStatus
	// before is what the environment runs, or is being brought back to.
	before v1alpha1.AppSource
	// known are the commits that were proposed for the environment before.
	known []string
}

// revert reports whether the change takes back what has failed.
func (c change) revert() bool { return c.at.Proposal != nil && c.at.Proposal.Revert }

// asks is what the change is to say, so far as it may become something else.
func (c change) asks() string {
	var b strings.Builder
	fmt.Fprintln(&b, c.revert(), c.env.Digest, c.env.Wanted)
	if c.env.Promote == v1alpha1.PromotePullRequest {
		for _, gate := range c.at.Gates {
			if gate.Name != "git" && gate.Name != "merge" { // those tell of the change itself
				fmt.Fprintln(&b, gate.Name, gate.Open, gate.Message)
			}
		}
	}
	return b.String()
}

// write has the changes written that are due, and returns when to look after them again.
func (r *Reconciler) write(ctx context.Context, fleet *v1alpha1.Fleet, world release.Service, d release.Decision) time.Time {
	var next time.Time
	for _, at := range d.Writes {
		c, ok := changeOf(fleet, world, d, at)
		if !ok {
			continue
		}
		begun, again := r.desk.begin(at, c.asks(), r.Clock.Now())
		if !again.IsZero() && (next.IsZero() || again.Before(next)) {
			next = again
		}
		if !begun {
			continue
		}
		r.desk.group.Go(func() {
			select {
			case r.desk.slots <- struct{}{}:
				defer func() { <-r.desk.slots }()
			case <-ctx.Done():
				r.desk.give(at)
				return
			}
			result, err := r.put(ctx, c)
			if ctx.Err() != nil {
				r.desk.give(at)
				return
			}
			if err != nil {
				result.Problem = err.Error()
				r.Log.Warn("a change was not written to Git: it is tried again", "fleet", fleet.Name, "release", at.Release, "environment", at.Environment, "error", err)
			}
			r.desk.end(at, result, r.Clock.Now())
			r.waker.Wake(keyOf(fleet.Namespace, fleet.Name, world.Name))
		})
	}
	return next
}

// changeOf gathers what a change is made of.
func changeOf(fleet *v1alpha1.Fleet, world release.Service, d release.Decision, place release.Place) (change, bool) {
	c := change{fleet: fleet}
	found := false
	for _, one := range world.Releases {
		status, changed := d.Statuses[one.Name]
		if !changed {
			status = one.Status
		}
		i := slices.IndexFunc(status.Environments, func(at v1alpha1.ReleaseEnvironmentStatus) bool { return at.Name == place.Environment })
		if i < 0 {
			continue
		}
		if is := status.Environments[i].Proposal; is != nil && is.Commit != "" {
			c.known = append(c.known, is.Commit)
		}
		if env, ok := intent(one, place.Environment); ok && one.Name == place.Release {
			c.release, c.env, c.at, found = one, env, status.Environments[i], true
		}
	}
	if app := world.Apps[place.Environment]; app != nil {
		c.before = app.Spec.Source
	}
	return c, found
}

// put writes a change.
func (r *Reconciler) put(ctx context.Context, c change) (release.Written, error) {
	auth, err := origin.Auth(ctx, r.Client, c.fleet)
	if err != nil {
		return release.Written{}, err
	}
	repository, err := r.Repositories.Repository(c.fleet.Spec.Git.URL)
	if err != nil {
		return release.Written{}, err
	}
	running, err := r.runs(ctx, c)
	if err != nil {
		return release.Written{}, err
	}
	draft, err := r.draft(ctx, c, running)
	if err != nil {
		return release.Written{}, err
	}
	if c.env.Promote == v1alpha1.PromotePullRequest {
		return r.pullRequest(ctx, c, proposing{repository, auth, draft, running})
	}
	written, err := repository.Write(ctx, c.fleet.Spec.Git.Branch, auth, draft)
	if err != nil {
		return release.Written{}, err
	}
	r.pushed(ctx, c.fleet)
	commit := written.Head // somebody else had written it already
	if written.Commits[0] != "" {
		commit = written.Commits[0]
	}
	return release.Written{ProposalStatus: v1alpha1.ProposalStatus{Commit: commit, Revert: c.revert()}}, nil
}

// pushed says that the branch of a Fleet has moved.
func (r *Reconciler) pushed(ctx context.Context, fleet *v1alpha1.Fleet) {
	if err := r.Pushed(ctx, fleet.Spec.Git.URL); err != nil {
		r.Log.Warn("the next poll finds what was pushed", "fleet", fleet.Name, "error", err)
	}
}

// draft is the commit of a change: what it says, and which files it changes. What is taken back becomes what runs.
func (r *Reconciler) draft(ctx context.Context, c change, running []v1alpha1.WantedImage) (gitrepo.Draft, error) {
	trailers := []gitrepo.Trailer{{Key: scribe.TrailerRelease, Value: c.release.Name}}
	if !c.revert() {
		for _, want := range c.env.Wanted {
			trailers = append(trailers, gitrepo.Trailer{Key: scribe.TrailerImage, Value: c.release.Spec.Commit.WithDigest(want.Image)})
		}
	}
	draft, err := scribe.Draft(ctx, r.Client, c.fleet, c.title()+"\n\n"+c.reason(), trailers...)
	if err != nil {
		return draft, err
	}
	draft.Edits = []gitrepo.EditFunc{func(_ context.Context, tree fs.FS) (map[string][]byte, error) {
		source, ok := tree.(render.Source)
		if !ok {
			return nil, errors.New("the files of the branch have no hashes")
		}
		settings, err := origin.Settings(origin.Order{App: appOf(c.fleet, c.release, c.env), Fleet: c.fleet, Source: source})
		if err != nil {
			return nil, err
		}
		edits, err := scribe.Edits(tree, settings.Images, c.env.Path, c.env.Wanted)
		if err != nil || !c.revert() {
			return edits, err
		}
		if len(edits) > 0 {
			return nil, nil // the branch does not say any more what has failed
		}
		return scribe.Edits(tree, settings.Images, c.env.Path, running)
	}}
	return draft, nil
}

// runs are the images that the environment of a change runs now, of those that it is about.
func (r *Reconciler) runs(ctx context.Context, c change) ([]v1alpha1.WantedImage, error) {
	if c.before.Revision == "" {
		return nil, nil
	}
	app := appOf(c.fleet, c.release, c.env)
	app.Spec.Source = c.before
	t, reason := r.Targets.Get(types.NamespacedName{Namespace: c.fleet.Namespace, Name: c.before.Cluster})
	if t == nil {
		return nil, errors.New(waitsFor(c.before.Cluster, reason))
	}
	tree, err := r.tree(ctx, c.fleet, c.before.Revision)
	if err != nil {
		return nil, err
	}
	is, err := r.Maker.Plan(ctx, origin.Order{App: app, Fleet: c.fleet, Source: tree, Capabilities: t.Capabilities})
	if err != nil {
		return nil, err
	}
	var found []v1alpha1.WantedImage
	running := scribe.Running(is.Settings.Images, is.Images)
	for _, want := range c.env.Wanted {
		if image := running[want.Name]; image != "" {
			found = append(found, v1alpha1.WantedImage{Name: want.Name, Image: image})
		}
	}
	return found, nil
}

// title is the first line of the message.
func (c change) title() string {
	images := make([]string, 0, len(c.env.Wanted))
	for _, want := range c.env.Wanted {
		images = append(images, shortImage(want.Image))
	}
	verb := "promote"
	if c.revert() {
		verb = "take back"
	}
	return fmt.Sprintf("%s: %s %s in %s", c.release.Spec.Service, verb, strings.Join(images, ", "), c.env.Name)
}

// shortImage is the last part of an image's name, with its tag.
func shortImage(image string) string {
	name, digest, hasDigest := strings.Cut(image[strings.LastIndexByte(image, '/')+1:], "@")
	if hasDigest && !strings.Contains(name, ":") {
		return name + "@" + digest[:min(len(digest), 19)]
	}
	return name
}

// reason is what the message says besides.
func (c change) reason() string {
	if !c.revert() {
		return fmt.Sprintf("It is what the environment before %s has passed with.", c.env.Name)
	}
	why := ""
	if c.at.Why != nil {
		why = ": " + c.at.Why.Message
	}
	return fmt.Sprintf("It failed in %s, which runs what it ran before%s", c.env.Name, strings.TrimSuffix(why, "."))
}
