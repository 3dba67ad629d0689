package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/gitrepo"
)

// fetch returns the revision to compare the Apps with. It asks the remote only when something says that there may be
// news: a webhook, the interval, a person, or a changed spec. If the remote cannot be read, the last head that was
// seen stays the one to compare with, and st.fetchErr says why.
func (r *Reconciler) fetch(ctx context.Context, fleet *v1alpha1.Fleet, st *state) (string, error) {
	repository, err := r.Repositories.Repository(fleet.Spec.Git.URL)
	if err != nil {
		return "", err
	}
	requested := fleet.Annotations[AnnotationSync]
	now := r.Now()
	due := st.pushed.Load() || !now.Before(st.nextPoll) || st.fetchedGeneration != fleet.Generation || st.handledSync != requested
	if due {
		// Taken back before the fetch: a push that arrives during it asks for another.
		st.pushed.Store(false)
		st.nextPoll = now.Add(interval(fleet))
		st.fetchedGeneration, st.handledSync = fleet.Generation, requested
		st.fetchErr = r.ask(ctx, fleet, st, repository)
		if st.fetchErr != nil {
			st.again(now)
		}
	}
	head, ok := repository.Head(fleet.Spec.Git.Branch)
	if !ok || refused(st.fetchErr) || st.fetchErr != nil && !fleet.LetIn() {
		return "", st.fetchErr
	}
	return head, nil
}

// again puts the next look at a Fleet forward after an error, to retryFirst from now and then to twice as long each time, up to
// its interval: a webhook tells of a push only once.
func (st *state) again(now time.Time) {
	wait := retryFirst << min(st.failures, 20)
	st.failures++
	if again := now.Add(wait); again.Before(st.nextPoll) {
		st.nextPoll = again
	}
}

// retryFirst is how long it lasts until a Fleet that could not be looked at is looked at again for the first time.
const retryFirst = 10 * time.Second

// refused reports whether the remote did not let the Fleet in. The mirror may hold what another Fleet was let in for: what it
// holds is for a Fleet that was let in before, and only could not be answered now.
func refused(err error) bool {
	return errors.Is(err, gitrepo.ErrAuth) || errors.Is(err, gitrepo.ErrHostKey) || errors.Is(err, gitrepo.ErrRemoteMissing)
}

// ask fetches the branch.
func (r *Reconciler) ask(ctx context.Context, fleet *v1alpha1.Fleet, st *state, repository *gitrepo.Repository) error {
	auth, err := origin.Auth(ctx, r.Client, fleet)
	if err != nil {
		return err
	}
	revision, err := repository.Fetch(ctx, fleet.Spec.Git.Branch, auth)
	if err != nil {
		return err
	}
	if revision.Changed() {
		st.rewritten = revision.Forced
	}
	return nil
}

// observe gathers what decide needs: the places of the revision, the Apps there are, and what it changes of each service.
func (r *Reconciler) observe(ctx context.Context, fleet *v1alpha1.Fleet, st *state, revision string) (observation, error) {
	repository, err := r.Repositories.Repository(fleet.Spec.Git.URL)
	if err != nil {
		return observation{}, err
	}
	tree, err := origin.Tree(ctx, r.Client, fleet, repository, revision)
	if err != nil {
		return observation{}, err
	}
	baseline := fleet.Status.Revision == ""
	if st.decided != fleet.Generation {
		st.roster.suspectBroken() // it may be allowed now
	}
	everything := baseline || st.decided != fleet.Generation || st.compared == "" || st.removing.Load()
	st.decided = 0 // until all of it has been done
	step, err := st.atlas.Follow(ctx, fleet, repository, tree)
	if err != nil {
		return observation{}, err
	}
	if step.From == "" {
		st.compared, everything = "", true
	}
	if err := r.list(ctx, fleet, st); err != nil {
		return observation{}, err
	}
	if err := r.recallStanding(ctx, fleet, st, repository, revision); err != nil {
		return observation{}, err
	}
	scope := st.scope(fleet, &st.atlas, step.Moved, everything)
	look := &survey{
		Reconciler: r, fleet: fleet.DeepCopy(), st: st, repository: repository, tree: tree, revision: revision,
		places: scope.places, baseline: baseline, sequence: sequenceOf(fleet, st.roster.last(), revision), anew: anew(fleet, st, revision),
	}
	services, err := r.concerned(ctx, look, scope, step)
	unreadable := st.unreadable(services)
	if err == nil && len(services) > 0 {
		err = look.begin(ctx, services)
	}
	if err != nil {
		st.roster.suspectAgain(services)
		return observation{}, err
	}
	return observation{
		fleet: fleet, revision: revision, places: scope.folders(), members: scope.members, courses: scope.courses, lost: scope.lost,
		standing: st.standing, unreadable: unreadable, concerned: services, look: look, baseline: baseline, confirmed: confirmed(fleet),
	}, nil
}

// sequenceOf returns that of the Releases of a revision: the next one, or its own if the revision has been begun with.
func sequenceOf(fleet *v1alpha1.Fleet, newest course, revision string) int64 {
	switch last := max(fleet.Status.Sequence, newest.Sequence); {
	case fleet.Status.Revision == revision && last > 0:
		return cmp.Or(fleet.Status.Sequence, last)
	case newest.Revision == revision && newest.Sequence == last:
		return last
	default:
		return last + 1
	}
}

// anew reports whether every service has been compared with a revision before: what is news now is none of the commit's.
func anew(fleet *v1alpha1.Fleet, st *state, revision string) bool {
	return fleet.Status.Revision == revision && fleet.Status.Comparing == 0 && st.planFailure.Load() == nil
}

// errClustersUnknown says that it is not known yet, after a start, what the clusters are capable of.
var errClustersUnknown = errors.New("the clusters of the fleet have not been reached yet")

// clustersKnown waits until every cluster of the Fleet has been connected to, or cannot be: without it, what a revision
// renders there is not known.
func (r *Reconciler) clustersKnown(ctx context.Context, fleet *v1alpha1.Fleet) error {
	for _, env := range fleet.Spec.Environments {
		name := types.NamespacedName{Namespace: fleet.Namespace, Name: env.Cluster}
		t, reason := r.Targets.Get(name)
		if t != nil || reason != "" {
			continue
		}
		err := r.Client.Get(ctx, name, &v1alpha1.Cluster{})
		if err == nil {
			return errClustersUnknown
		}
		if client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("read cluster %s: %w", env.Cluster, err)
		}
	}
	return nil
}

// list fills the roster once: the watches may not have delivered everything yet, but the cache that they fill has.
func (r *Reconciler) list(ctx context.Context, fleet *v1alpha1.Fleet, st *state) error {
	if st.listed {
		return nil
	}
	var apps v1alpha1.AppList
	if err := r.Client.List(ctx, &apps, client.InNamespace(fleet.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list Apps of fleet %s: %w", fleet.Name, err)
	}
	for i := range apps.Items {
		if app := &apps.Items[i]; app.Spec.Fleet == fleet.Name && app.Spec.Service != "" {
			st.roster.put(memberOf(app))
		}
	}
	var releases v1alpha1.ReleaseList
	if err := r.Client.List(ctx, &releases, client.InNamespace(fleet.Namespace), client.UnsafeDisableDeepCopy); err != nil {
		return fmt.Errorf("list Releases of fleet %s: %w", fleet.Name, err)
	}
	for i := range releases.Items {
		if release := &releases.Items[i]; release.Spec.Fleet == fleet.Name {
			st.roster.steer(release.Spec.Service, courseOf(release))
		}
	}
	st.listed = true
	return nil
}

// concerned returns the services that may be something else at the revision than what they are meant to be, and whether
// they have to be looked at anew. Together with an error it returns those that it has found.
func (r *Reconciler) concerned(ctx context.Context, look *survey, scope scope, step origin.Step) (map[string]bool, error) {
	services := map[string]bool{}
	for service := range scope.services() {
		if look.moved(service) {
			services[service] = false
		}
	}
	there := func(service string, anew bool) {
		if inFleet(look.fleet, look.st.atlas.Places(service)) > 0 {
			services[service] = services[service] || anew
		}
	}
	for service := range look.st.roster.suspected() {
		there(service, true)
	}
	switch look.st.compared {
	case look.revision:
	case "":
		for service := range scope.delivered() {
			there(service, false)
		}
	default:
		changes := step.Changes
		if step.From != look.st.compared {
			var err error
			if changes, err = look.repository.Diff(ctx, look.st.compared, look.revision); err != nil {
				return services, err
			}
		}
		for service := range look.st.roster.concerned(changes) {
			there(service, false)
		}
	}
	return services, nil
}
