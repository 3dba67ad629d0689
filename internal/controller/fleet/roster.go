package fleet

import (
	"maps"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/gitrepo"
)

// member is what a Fleet keeps in mind of one of its Apps.
type member struct {
	Name        string
	UID         types.UID
	Generation  int64
	Service     string
	Environment string
	Source      v1alpha1.AppSource
	Removal     v1alpha1.Removal
	// Release is the name of the Release that brought the App to where it is.
	Release string
	// SelfHeal and ServiceAccountName are what the App's spec says now.
	SelfHeal           bool
	ServiceAccountName string
	// Settled is true once the App's controller has acted on the whole of its spec.
	Settled bool
	// Objects is how many objects the App has.
	Objects int
	// Inputs and InputsDigest are what the App's last render read; nil while that is not about the current spec. Digest is
	// what it rendered, and Renderer what rendered it.
	Inputs       []string
	InputsDigest string
	Digest       string
	Renderer     string
	// Otherwise is true when the App's source renders something else than it did when it was released.
	Otherwise bool
}

func memberOf(app *v1alpha1.App) member {
	m := member{
		Name: app.Name, UID: app.UID, Generation: app.Generation,
		Service: app.Spec.Service, Environment: app.Spec.Environment, Source: app.Spec.Source,
		Removal:            app.Spec.Removal,
		Release:            app.Spec.Release,
		SelfHeal:           app.Spec.SelfHeal == nil || *app.Spec.SelfHeal,
		ServiceAccountName: app.Spec.ServiceAccountName,
		Settled:            app.Status.ObservedGeneration == app.Generation,
		Objects:            len(app.Status.Inventory),
	}
	if m.Settled {
		m.Inputs, m.InputsDigest = app.Status.Inputs, app.Status.InputsDigest
		m.Digest, m.Renderer = app.Status.Digest, app.Status.Renderer
		ready := meta.FindStatusCondition(app.Status.Conditions, v1alpha1.ConditionReady)
		m.Otherwise = ready != nil && ready.Reason == v1alpha1.ReasonRenderedOtherwise
	}
	return m
}

// moved returns m as it is with another spec, which has that generation: its controller has yet to act on it.
func (m member) moved(spec v1alpha1.AppSpec, generation int64) member {
	m.Source, m.Removal = spec.Source, spec.Removal
	m.SelfHeal, m.ServiceAccountName = *spec.SelfHeal, spec.ServiceAccountName
	if generation != m.Generation {
		m.Settled, m.Inputs, m.InputsDigest, m.Digest, m.Renderer = false, nil, "", "", ""
	}
	m.Generation = generation
	return m
}

// sameIntent reports whether the Fleet has nothing else to decide about m than about old. At which revision an App is, and
// by which Release, is for its Releases to say.
func (m member) sameIntent(old member) bool {
	was := old.Source
	was.Revision = m.Source.Revision
	return m.Service == old.Service && m.Source == was && m.Removal == old.Removal &&
		m.SelfHeal == old.SelfHeal && m.ServiceAccountName == old.ServiceAccountName
}

// course is the newest Release of a service: what the service is meant to be.
type course struct {
	Release      string
	Sequence     int64
	Revision     string
	Group        string
	Ended        bool
	Environments map[string]v1alpha1.ReleaseEnvironment
	// Steps are the commits by which it comes to environments that are reached through Git.
	Steps map[string]string
	// Passed holds the environments that the Release has passed.
	Passed map[string]bool
}

func courseOf(r *v1alpha1.Release) course {
	c := course{
		Release: r.Name, Sequence: r.Spec.Sequence, Revision: r.Spec.Revision, Group: r.Spec.Group, Ended: r.Status.Ended != nil,
		Environments: map[string]v1alpha1.ReleaseEnvironment{}, Steps: map[string]string{}, Passed: map[string]bool{},
	}
	for _, step := range r.Spec.Steps {
		c.Steps[step.Environment] = step.Revision
	}
	for _, env := range r.Status.Environments {
		c.Passed[env.Name] = env.Stage == v1alpha1.StageDone
	}
	for _, env := range r.Spec.Environments {
		c.Environments[env.Name] = env
	}
	return c
}

// reading is what was read when a Release was planned, and what that rendered.
type reading struct {
	service string
	digest  string
	inputs  []string
	state   string
}

// roster holds the Apps and the newest Releases of one Fleet, kept up to date by their watches, so that a commit that
// touches one App lists none.
type roster struct {
	mu       sync.Mutex
	members  map[string]member
	courses  map[string]course
	newest   course
	readings map[string]reading
	// apps are the names of the members of a service.
	apps map[string]map[string]struct{}
	// readers are the Apps by what they read: by their last render, or by the one that was planned last.
	readers origin.Readers
	// unread are Apps whose read-set is not known for their current spec: any commit may concern them. It may concern the halves
	// too, which are Apps, with their service, that were planned while not all could be had that they are rendered from.
	unread map[string]struct{}
	halves map[string]string
	// suspects are services to be looked at although no commit touched them.
	suspects map[string]struct{}
	// touched are services of which something else is known than when their Apps were compared last.
	touched map[string]struct{}
	// lost are the Apps that somebody deleted, as they were.
	lost map[string]v1alpha1.AppSpec
}

func newRoster() *roster {
	return &roster{
		members: map[string]member{}, courses: map[string]course{}, readings: map[string]reading{}, halves: map[string]string{},
		apps: map[string]map[string]struct{}{}, unread: map[string]struct{}{}, suspects: map[string]struct{}{},
		touched: map[string]struct{}{}, lost: map[string]v1alpha1.AppSpec{},
	}
}

// put records m, unless something newer is known, and reports whether its service has to be looked at.
func (r *roster) put(m member) (suspect bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old, known := r.members[m.Name]
	if known && old.UID == m.UID && old.Generation > m.Generation {
		return false
	}
	if !known || !m.sameIntent(old) {
		r.touched[m.Service] = struct{}{}
	}
	if known && m.Service != old.Service {
		r.unlist(old)
		r.touched[old.Service] = struct{}{}
	}
	r.members[m.Name] = m
	r.list(m)
	delete(r.lost, m.Name)
	delete(r.unread, m.Name)
	if m.Inputs == nil {
		r.unread[m.Name] = struct{}{}
	}
	r.readers.Put(m.Name, m.Inputs)
	if m.Otherwise && !old.Otherwise {
		r.suspects[m.Service] = struct{}{}
		return true
	}
	return false
}

// plan records what was read for an App when its Release was planned, and whether that is all of it.
func (r *roster) plan(app string, now reading, whole bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if delete(r.halves, app); !whole {
		r.halves[app] = now.service
	}
	r.readings[app] = now
	r.readers.Put(app+planned, now.inputs)
}

// planned marks the paths that a plan has read, and not a render of the App.
const planned = "\x00"

// steer records a Release, unless a newer one of its service is known.
func (r *roster) steer(service string, c course) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.courses[service].Sequence <= c.Sequence {
		r.courses[service] = c
		r.touched[service] = struct{}{}
		maps.DeleteFunc(r.lost, func(_ string, was v1alpha1.AppSpec) bool {
			return was.Service == service && c.Environments[was.Environment].Gone // it is not made again as it was
		})
	}
	if r.newest.Sequence <= c.Sequence {
		r.newest = c
	}
}

// unsteer takes back a Release that is gone, for the newest that is left of its service, and reports whether the service
// has to be looked at.
func (r *roster) unsteer(service, release string, left course) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.courses[service].Release != release {
		return false
	}
	if r.courses[service] = left; left.Release == "" {
		delete(r.courses, service)
	}
	r.touched[service], r.suspects[service] = struct{}{}, struct{}{}
	return true
}

// lose notes that somebody deleted an App, which was not on its way out, also if its removal still waits for its gates.
func (r *roster) lose(app *v1alpha1.App) {
	r.mu.Lock()
	defer r.mu.Unlock()
	gone := r.courses[app.Spec.Service].Environments[app.Spec.Environment].Gone
	if old, known := r.members[app.Name]; known && old.UID == app.UID && app.Spec.Removal == "" && !gone {
		r.lost[app.Name] = *app.Spec.DeepCopy()
		r.touched[old.Service] = struct{}{}
	}
}

// remove drops an App that is gone.
func (r *roster) remove(name string, uid types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old, known := r.members[name]
	if !known || (uid != "" && old.UID != uid) {
		return
	}
	r.readers.Remove(name)
	delete(r.unread, name)
	delete(r.halves, name)
	delete(r.members, name)
	r.unlist(old)
	r.touched[old.Service] = struct{}{}
}

func (r *roster) list(m member) {
	if r.apps[m.Service] == nil {
		r.apps[m.Service] = map[string]struct{}{}
	}
	r.apps[m.Service][m.Name] = struct{}{}
}

func (r *roster) unlist(m member) {
	delete(r.apps[m.Service], m.Name)
	if len(r.apps[m.Service]) == 0 {
		delete(r.apps, m.Service)
	}
}

// view is what a roster knows, of some services or of all, at one moment.
type view struct {
	members map[string]member
	courses map[string]course
	lost    map[string]v1alpha1.AppSpec
}

// all returns what is known of every service.
func (r *roster) all() view {
	r.mu.Lock()
	defer r.mu.Unlock()
	return view{maps.Clone(r.members), maps.Clone(r.courses), maps.Clone(r.lost)}
}

// of returns what is known of some services.
func (r *roster) of(services map[string]struct{}) view {
	r.mu.Lock()
	defer r.mu.Unlock()
	v := view{map[string]member{}, map[string]course{}, map[string]v1alpha1.AppSpec{}}
	for service := range services {
		for name := range r.apps[service] {
			v.members[name] = r.members[name]
		}
		if c, known := r.courses[service]; known {
			v.courses[service] = c
		}
	}
	for name, spec := range r.lost {
		if _, asked := services[spec.Service]; asked {
			v.lost[name] = spec
		}
	}
	return v
}

// changed returns the services of which something else is known than at the last call.
func (r *roster) changed() map[string]struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	touched := r.touched
	r.touched = map[string]struct{}{}
	return touched
}

// member returns what is known of an App.
func (r *roster) member(name string) (member, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m, ok := r.members[name]
	return m, ok
}

// missing returns an App that somebody deleted, as it was.
func (r *roster) missing(name string) (v1alpha1.AppSpec, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	spec, ok := r.lost[name]
	return spec, ok
}

// course returns the newest Release of a service.
func (r *roster) course(service string) course {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.courses[service]
}

// reading returns what was read when an App was last planned.
func (r *roster) reading(name string) (reading, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	was, ok := r.readings[name]
	return was, ok
}

// last returns the newest Release.
func (r *roster) last() course {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.newest
}

// suspected returns the services to be looked at whatever the commit, and forgets them.
func (r *roster) suspected() map[string]struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	suspects := r.suspects
	r.suspects = map[string]struct{}{}
	return suspects
}

// suspectBroken makes the services be looked at whose newest Release means something that could not be rendered: what it
// lacked may be there now.
func (r *roster) suspectBroken() {
	r.mu.Lock()
	defer r.mu.Unlock()
	for service, c := range r.courses {
		for _, env := range c.Environments {
			if env.Problem != "" {
				r.suspects[service] = struct{}{}
			}
		}
	}
}

// suspect makes a service be looked at.
func (r *roster) suspect(service string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.suspects[service] = struct{}{}
}

// suspectAgain takes back those services that have to be looked at anew, and were not.
func (r *roster) suspectAgain(services map[string]bool) {
	for service, anew := range services {
		if anew {
			r.suspect(service)
		}
	}
}

// concerned returns the services that a commit may concern: those of which something was read that it changed, and those
// of which nobody knows what they read.
func (r *roster) concerned(changes gitrepo.Changes) map[string]struct{} {
	r.mu.Lock()
	defer r.mu.Unlock()
	keys := r.readers.Of(changes)
	maps.Copy(keys, r.unread)
	services := map[string]struct{}{}
	for _, service := range r.halves {
		services[service] = struct{}{}
	}
	for key := range keys {
		name, isPlan := strings.CutSuffix(key, planned)
		if isPlan {
			services[r.readings[name].service] = struct{}{}
		} else {
			services[r.members[name].Service] = struct{}{}
		}
	}
	return services
}
