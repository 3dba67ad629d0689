package release

import (
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/event"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/job"
	"github.com/sengu-dev/sengu/internal/release"
)

// followed is where a Job runs that a service waits for. It is empty for one that was not asked for there yet.
type followed struct {
	cluster         types.NamespacedName
	namespace, name string
}

// follow notes where the Job is that the watcher of its cluster knows of from now on.
func (j *jobs) follow(a asked, spec job.Spec) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.note(keyOf(a.one.Namespace, a.one.Spec.Fleet, a.one.Spec.Service), a.key, followed{a.t.Name, spec.Namespace, spec.Name})
}

// note keeps what is known of a Job, with the lock held.
func (j *jobs) note(service types.NamespacedName, key release.StepKey, is followed) {
	if j.follows == nil {
		j.follows = map[types.NamespacedName]map[release.StepKey]followed{}
	}
	if j.follows[service] == nil {
		j.follows[service] = map[release.StepKey]followed{}
	}
	j.follows[service][key] = is
}

// forget lets go of all that is kept of the Jobs of a service that nobody asks about any more: their outcome is recorded, or
// their Release is gone.
func (j *jobs) forget(world *release.Service) {
	j.keep(keyOf(world.Fleet.Namespace, world.Fleet.Name, world.Name), world.Jobs)
}

// keep lets go of all that is kept of the Jobs of a service but of those that were asked about.
func (j *jobs) keep(service types.NamespacedName, asked map[release.StepKey]release.JobState) {
	j.mu.Lock()
	defer j.mu.Unlock()
	for key := range asked {
		if _, known := j.follows[service][key]; !known {
			j.note(service, key, followed{})
		}
	}
	for key, is := range j.follows[service] {
		if _, still := asked[key]; still {
			continue
		}
		j.drop(key)
		delete(j.specs, key)
		if w := j.watchers[is.cluster]; w != nil && is.name != "" {
			w.watcher.Forget(is.namespace, is.name)
		}
		delete(j.follows[service], key)
	}
	if len(j.follows[service]) == 0 {
		delete(j.follows, service)
	}
}

// gone lets go of all that is kept of a Release that was deleted, and lets its service be looked at: with the next pass go
// its Jobs, and what its checks were answered.
func (r *Reconciler) gone(e event.DeleteEvent) bool {
	one, ok := e.Object.(*v1alpha1.Release)
	if !ok {
		return false
	}
	name := types.NamespacedName{Namespace: one.Namespace, Name: one.Name}
	r.releases.Forget(name)
	r.plans.forget(name)
	r.desk.forget(one)
	return true
}

// leave lets go of the Jobs and the checks of a service whose Fleet is gone.
func (r *Reconciler) leave(service types.NamespacedName) {
	r.jobs.keep(service, nil)
	r.asker.answers(service)
}
