package origin

import (
	"maps"
	"strings"

	"github.com/sengu-dev/sengu/internal/gitrepo"
)

// Readers leads from the paths of a repository to who has read them, so that a commit tells whom it concerns. Paths are
// those of a render.ReadSet. The zero value is empty. It is not safe for concurrent use.
type Readers struct {
	by    map[string]map[string]struct{}
	paths map[string][]string
}

// Put notes what a reader has read, in the place of what it had read before.
func (r *Readers) Put(reader string, paths []string) {
	r.Remove(reader)
	if len(paths) == 0 {
		return
	}
	if r.paths == nil {
		r.by, r.paths = map[string]map[string]struct{}{}, map[string][]string{}
	}
	r.paths[reader] = paths
	for _, p := range paths {
		if r.by[p] == nil {
			r.by[p] = map[string]struct{}{}
		}
		r.by[p][reader] = struct{}{}
	}
}

// Remove forgets a reader.
func (r *Readers) Remove(reader string) {
	for _, p := range r.paths[reader] {
		delete(r.by[p], reader)
		if len(r.by[p]) == 0 {
			delete(r.by, p)
		}
	}
	delete(r.paths, reader)
}

// Of returns the readers of something that changed. Who asked of a folder only whether it exists is concerned if it comes
// or goes.
func (r *Readers) Of(changes gitrepo.Changes) map[string]struct{} {
	found := map[string]struct{}{}
	for c := range changes.All() {
		maps.Copy(found, r.by[c.Path])
		if c.From == "" || c.To == "" || !c.Dir {
			maps.Copy(found, r.by[c.Path+"/"])
		}
		if c.Module {
			maps.Copy(found, r.below(c.Path+"/")) // what is in a submodule is not compared
		}
	}
	return found
}

// below returns the readers of anything in a folder.
func (r *Readers) below(folder string) map[string]struct{} {
	found := map[string]struct{}{}
	for p, readers := range r.by {
		if strings.HasPrefix(p, folder) {
			maps.Copy(found, readers)
		}
	}
	return found
}
