// Package handover keeps the ledger by which an object moves from one App of a Fleet to another without being deleted
// and made again.
//
// It is responsible for two questions: which Apps want an object, and whether every App that a commit moved has said
// what it wants. It refuses to guess: until a Fleet has been compared with its repository once since the start, and
// while it is moving Apps, nobody has said anything and nothing may be pruned.
package handover

import (
	"slices"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/internal/manifest"
)

// Ledger records what Apps want. The zero value is not usable; see New. It is safe for concurrent use.
type Ledger struct {
	mu     sync.Mutex
	fleets map[types.NamespacedName]*fleet
	claims map[types.NamespacedName]claim
	// wanted lists, for each object, the Apps that want it, the first claim first.
	wanted map[object][]types.NamespacedName
}

type fleet struct {
	// compared is true while no App is being moved and the Fleet has been compared at least once.
	compared bool
	// undecided holds the Apps that were moved and have not claimed since.
	undecided map[types.NamespacedName]move
}

type move struct {
	cluster    string
	generation int64
}

type claim struct {
	fleet      types.NamespacedName
	generation int64
	cluster    string
	refs       []manifest.Ref
}

// object is an object of a cluster. Clusters are told apart by namespace and name.
type object struct {
	namespace, cluster string
	ref                manifest.Ref
}

// New returns an empty Ledger.
func New() *Ledger {
	return &Ledger{
		fleets: map[types.NamespacedName]*fleet{},
		claims: map[types.NamespacedName]claim{},
		wanted: map[object][]types.NamespacedName{},
	}
}

func (l *Ledger) fleet(name types.NamespacedName) *fleet {
	f := l.fleets[name]
	if f == nil {
		f = &fleet{undecided: map[types.NamespacedName]move{}}
		l.fleets[name] = f
	}
	return f
}

// Moving says that a Fleet begins to move Apps: until Compared, no App of it prunes.
func (l *Ledger) Moving(name types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fleet(name).compared = false
}

// Moved says that an App of the Fleet has that generation now, and has to claim before others prune in its cluster.
func (l *Ledger) Moved(name, app types.NamespacedName, cluster string, generation int64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.claims[app].generation >= generation {
		return
	}
	l.fleet(name).undecided[app] = move{cluster, generation}
}

// Compared says that every App of the Fleet that had to be moved has been.
func (l *Ledger) Compared(name types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fleet(name).compared = true
}

// Claim records that app, at that generation, wants exactly refs in cluster.
func (l *Ledger) Claim(name, app types.NamespacedName, generation int64, cluster string, refs []manifest.Ref) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.withdraw(app)
	for _, ref := range refs {
		key := object{app.Namespace, cluster, ref}
		l.wanted[key] = append(l.wanted[key], app)
	}
	l.claims[app] = claim{name, generation, cluster, refs}
	if f := l.fleets[name]; f != nil && f.undecided[app].generation <= generation {
		delete(f.undecided, app)
	}
}

// Claimed reports whether app has claimed at that generation or a later one.
func (l *Ledger) Claimed(app types.NamespacedName, generation int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	c, ok := l.claims[app]
	return ok && c.generation >= generation
}

// Forget drops all that is known of an App that no longer exists.
func (l *Ledger) Forget(app types.NamespacedName) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.withdraw(app)
	for _, f := range l.fleets {
		delete(f.undecided, app)
	}
}

func (l *Ledger) withdraw(app types.NamespacedName) {
	old, ok := l.claims[app]
	if !ok {
		return
	}
	for _, ref := range old.refs {
		key := object{app.Namespace, old.cluster, ref}
		rest := slices.DeleteFunc(l.wanted[key], func(a types.NamespacedName) bool { return a == app })
		if len(rest) == 0 {
			delete(l.wanted, key)
		} else {
			l.wanted[key] = rest
		}
	}
	delete(l.claims, app)
}

// Rival returns the App other than self that claimed an object first, if there is one.
func (l *Ledger) Rival(self types.NamespacedName, cluster string, ref manifest.Ref) (types.NamespacedName, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, app := range l.wanted[object{self.Namespace, cluster, ref}] {
		if app != self {
			return app, true
		}
	}
	return types.NamespacedName{}, false
}

// Decided reports whether app has claimed since the Fleet last moved it, and what: wants tells of the object asked for.
// An App that has claimed nothing since the start of this process is not decided, and while its Fleet is moving Apps it
// may be about to be moved.
func (l *Ledger) Decided(app types.NamespacedName, cluster string, ref manifest.Ref) (wants, decided bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, f := range l.fleets {
		if _, open := f.undecided[app]; open {
			return false, false
		}
	}
	c, ok := l.claims[app]
	if !ok || !l.fleet(c.fleet).compared {
		return false, false
	}
	return slices.Contains(l.wanted[object{app.Namespace, cluster, ref}], app), true
}

// Undecided says what keeps the Apps of a Fleet from pruning in a cluster: the name of an App that has not said yet
// what it wants, or "" with false when the Fleet itself is not compared yet. The last result is false when nothing does.
func (l *Ledger) Undecided(name types.NamespacedName, cluster string) (app string, waits bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f := l.fleets[name]
	if f == nil || !f.compared {
		return "", true
	}
	for other, m := range f.undecided {
		if m.cluster == cluster {
			return other.Name, true
		}
	}
	return "", false
}
