package layout

import (
	"io/fs"
	"iter"
	"maps"
	"strings"
)

// Index holds the places of a tree by service and environment, and follows the tree from one revision to the next at the
// cost of what changed. It is not safe for concurrent use; the maps that it gives out stay as they are.
type Index struct {
	layout   Layout
	services map[string]map[string]Place
	// unreadable are the services of which a folder cannot be read, and why. Their places are those that were known before.
	unreadable map[string]error
	// linked is true if a symbolic link is where a folder is looked for: what is behind it may change without a sign of it.
	linked bool
}

// NewIndex reads all of a tree. A service of which a folder cannot be read has no places until Settle says otherwise; a
// folder above all services that cannot be read is an error.
func NewIndex(l Layout, tree fs.FS) (*Index, error) {
	d := discovery{layout: l, tree: tree, unreadable: map[string]error{}}
	places, err := d.below(".", 0, Place{})
	if err != nil {
		return nil, err
	}
	x := &Index{layout: l, services: map[string]map[string]Place{}, unreadable: d.unreadable, linked: d.linked}
	for _, p := range places {
		if _, partly := x.unreadable[p.Service]; partly {
			continue
		}
		if x.services[p.Service] == nil {
			x.services[p.Service] = map[string]Place{}
		}
		x.services[p.Service][p.Environment] = p
	}
	return x, nil
}

// Places returns the folders of a service by environment.
func (x *Index) Places(service string) map[string]Place { return x.services[service] }

// All gives every service with its folders by environment, in no order.
func (x *Index) All() iter.Seq2[string, map[string]Place] { return maps.All(x.services) }

// Unreadable returns the services of which a folder cannot be read, and why. What is known of their places is what was known
// when they could be read last, and says nothing of the tree.
func (x *Index) Unreadable() map[string]error { return maps.Clone(x.unreadable) }

// Settle takes in how another look at a service ended that could not be read: with what it found, or with the reason why
// it still cannot be.
func (x *Index) Settle(service string, found Found, err error) {
	if _, asked := x.unreadable[service]; !asked {
		return
	}
	if err != nil {
		x.unreadable[service] = err
		return
	}
	delete(x.unreadable, service)
	x.linked = x.linked || found.linked
	if x.services[service] = found.Places; len(found.Places) == 0 {
		delete(x.services, service)
	}
}

// Change is a path at which two trees differ.
type Change struct {
	Path string
	// Was and Is say whether there is something at it in the first and in the second tree.
	Was, Is bool
	// Folder says that it is a folder wherever it exists, and no file, link or submodule.
	Folder bool
}

// Follow goes on to a tree that differs from the one before at the paths of changes, in which every folder that differs is
// named too. It returns the services of which a folder came or went, or can be read no more, or again. What could not be read
// before is not tried again unless all is read anew. After an error the Index is of use for the same step only.
func (x *Index) Follow(tree fs.FS, changes iter.Seq[Change]) (map[string]struct{}, error) {
	moved := map[string]struct{}{}
	if x.linked {
		return moved, x.again(tree, moved)
	}
	for c := range changes {
		place, depth, ok := x.layout.prefix(c.Path)
		switch {
		case !ok:
		case !c.Folder:
			return moved, x.again(tree, moved) // it may be what a folder was, or lead to one
		case depth == len(x.layout) && c.Was != c.Is:
			x.set(place, c.Is)
			moved[place.Service] = struct{}{}
		}
	}
	return moved, nil
}

// set notes that a folder came or went. Of a service that cannot be read, all that is known stays.
func (x *Index) set(p Place, exists bool) {
	if _, left := x.unreadable[p.Service]; left {
		return
	}
	by := maps.Clone(x.services[p.Service])
	if by == nil {
		by = map[string]Place{}
	}
	if exists {
		by[p.Environment] = p
	} else {
		delete(by, p.Environment)
	}
	if len(by) == 0 {
		delete(x.services, p.Service)
		return
	}
	x.services[p.Service] = by
}

// again reads all of a tree, and adds the services that are not as they were.
func (x *Index) again(tree fs.FS, moved map[string]struct{}) error {
	now, err := NewIndex(x.layout, tree)
	if err != nil {
		return err
	}
	for service := range now.unreadable {
		if was, known := x.services[service]; known {
			now.services[service] = was
		}
		if _, before := x.unreadable[service]; !before {
			moved[service] = struct{}{}
		}
	}
	for service := range x.unreadable {
		if _, still := now.unreadable[service]; !still {
			moved[service] = struct{}{}
		}
	}
	for service, was := range x.services {
		if !maps.Equal(was, now.services[service]) {
			moved[service] = struct{}{}
		}
	}
	for service := range now.services {
		if _, known := x.services[service]; !known {
			moved[service] = struct{}{}
		}
	}
	*x = *now
	return nil
}

// Place reads the path of a folder of the layout.
func (l Layout) Place(name string) (Place, bool) {
	at, depth, ok := l.prefix(name)
	return at, ok && depth == len(l)
}

// prefix reads a path that lies on the way to a folder of the layout, or is one.
func (l Layout) prefix(name string) (at Place, depth int, ok bool) {
	if name == "." || strings.Count(name, "/") >= len(l) {
		return at, 0, false
	}
	at.Path = name
	for element := range strings.SplitSeq(name, "/") {
		if at, ok = l.match(element, depth, at); !ok {
			return at, depth, false
		}
		depth++
	}
	return at, depth, true
}
