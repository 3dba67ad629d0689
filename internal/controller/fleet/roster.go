package fleet

import (
	"maps"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
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
	// SelfHeal and ServiceAccountName are what the App's spec says now.
	SelfHeal           bool
	ServiceAccountName string
	// Settled is true once the App's controller has acted on the whole of its spec.
	Settled bool
	// Objects is how many objects the App has.
	Objects int
	// Inputs and InputsDigest are what the App's last render read; nil while that is not about the current spec.
	Inputs       []string
	InputsDigest string
}

func memberOf(app *v1alpha1.App) member {
	m := member{
		Name: app.Name, UID: app.UID, Generation: app.Generation,
		Service: app.Spec.Service, Environment: app.Spec.Environment, Source: app.Spec.Source,
		Removal:            app.Spec.Removal,
		SelfHeal:           app.Spec.SelfHeal == nil || *app.Spec.SelfHeal,
		ServiceAccountName: app.Spec.ServiceAccountName,
		Settled:            app.Status.ObservedGeneration == app.Generation,
		Objects:            len(app.Status.Inventory),
	}
	if m.Settled {
		m.Inputs, m.InputsDigest = app.Status.Inputs, app.Status.InputsDigest
	}
	return m
}

// moved returns m as it is with another spec, which has that generation: its controller has yet to act on it.
func (m member) moved(spec v1alpha1.AppSpec, generation int64) member {
	m.Source, m.Removal = spec.Source, spec.Removal
	m.SelfHeal, m.ServiceAccountName = *spec.SelfHeal, spec.ServiceAccountName
	if generation != m.Generation {
		m.Settled, m.Inputs, m.InputsDigest = false, nil, ""
	}
	m.Generation = generation
	return m
}

// roster holds the Apps of one Fleet, kept up to date by the watch of Apps, so that a commit that touches one App
// lists none. paths leads from a path of the repository to the Apps whose last render read it.
type roster struct {
	mu      sync.Mutex
	members map[string]member
	paths   map[string]map[string]struct{}
	// unread are Apps whose read-set is not known for their current spec: any commit may concern them.
	unread map[string]struct{}
}

func newRoster() *roster {
	return &roster{
		members: map[string]member{},
		paths:   map[string]map[string]struct{}{},
		unread:  map[string]struct{}{},
	}
}

// put records m, unless something newer is known.
func (r *roster) put(m member) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old, known := r.members[m.Name]
	if known && old.UID == m.UID && old.Generation > m.Generation {
		return
	}
	if known {
		r.unindex(old)
	}
	r.members[m.Name] = m
	if m.Inputs == nil {
		r.unread[m.Name] = struct{}{}
	}
	for _, p := range m.Inputs {
		if r.paths[p] == nil {
			r.paths[p] = map[string]struct{}{}
		}
		r.paths[p][m.Name] = struct{}{}
	}
}

func (r *roster) remove(name string, uid types.UID) {
	r.mu.Lock()
	defer r.mu.Unlock()
	old, known := r.members[name]
	if !known || (uid != "" && old.UID != uid) {
		return
	}
	r.unindex(old)
	delete(r.members, name)
}

func (r *roster) unindex(m member) {
	delete(r.unread, m.Name)
	for _, p := range m.Inputs {
		delete(r.paths[p], m.Name)
		if len(r.paths[p]) == 0 {
			delete(r.paths, p)
		}
	}
}

// all returns the members by name.
func (r *roster) all() map[string]member {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := make(map[string]member, len(r.members))
	for name, m := range r.members {
		out[name] = m
	}
	return out
}

// concerned returns the Apps that a commit may concern: those that read something that it changed, and those of which
// nobody knows what they read. A folder of which only the existence was asked is concerned only if it comes or goes.
func (r *roster) concerned(changes gitrepo.Changes) []member {
	r.mu.Lock()
	defer r.mu.Unlock()
	names := maps.Clone(r.unread)
	for _, p := range changes.Paths() {
		maps.Copy(names, r.paths[p])
		if c, _ := changes.Get(p); c.From == "" || c.To == "" || !c.Dir {
			maps.Copy(names, r.paths[p+"/"])
		}
	}
	out := make([]member, 0, len(names))
	for name := range names {
		out = append(out, r.members[name])
	}
	return out
}
