package tracker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/controller/scribe"
	"github.com/sengu-dev/sengu/internal/delivery"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/image"
	"github.com/sengu-dev/sengu/internal/layout"
	"github.com/sengu-dev/sengu/internal/render"
)

// reading is what the files of a service say that it tracks.
type reading struct {
	// key changes when the service's folders do.
	key   string
	wants []want
	// problem is why they cannot be read, "" if they can.
	problem string
}

// want is an image that one environment of a service tracks.
type want struct {
	service, environment, folder string
	image                        delivery.Image
	place                        scribe.Place
	// now is what the place says, and hash that of its file.
	now  image.Reference
	hash string
	// problem is why it can be neither read nor written.
	problem string
}

// slot is a field of a file that follows an image, for one environment or for several.
type slot struct {
	want
	environments []string
	// services write into the field; the first is that of want.
	services   []string
	repository string
	policy     image.Policy
	// dirty is true until it is decided anew.
	dirty bool
	// chosen is what it is to say, nil if it stays as it is, and choice what the registry has. Why is one sentence on it.
	chosen *image.Reference
	choice image.Candidate
	why    string
	// refused is what could not be written, in the place of what.
	refused refusal
	// seen is what the written tag led to at the last look.
	seen image.Reference
}

type refusal struct {
	from, to image.Reference
	problem  string
}

// survey finds out what the head of the branch says that services track. Only what has changed since the last time is
// read. It returns false if there is no head yet.
func (r *Reconciler) survey(ctx context.Context, fleet *v1alpha1.Fleet, st *state) (bool, error) {
	repository, err := r.Repositories.Repository(fleet.Spec.Git.URL)
	if err != nil {
		return false, err
	}
	head, ok := repository.Head(fleet.Spec.Git.Branch)
	if !ok {
		return false, nil
	}
	if head == st.head && fleet.Generation == st.generation {
		return true, nil
	}
	tree, err := repository.Tree(ctx, head)
	if err != nil {
		return false, err
	}
	if st.generation != fleet.Generation {
		st.readings = nil // it may have other environments, or promote in another way
	}
	if st.layout != fleet.Spec.Layout {
		st.layout, st.memo = fleet.Spec.Layout, nil
	}
	parsed, err := layout.Parse(fleet.Spec.Layout)
	if err != nil {
		return false, err
	}
	places, memo, err := parsed.Discover(tree, st.memo)
	if err != nil {
		return false, err
	}
	readings := map[string]reading{}
	for service, folders := range foldersOf(fleet, places) {
		if readings[service], err = readService(tree, fleet, service, folders, st.readings[service]); err != nil {
			return false, err
		}
	}
	st.head, st.generation, st.memo, st.readings = head, fleet.Generation, memo, readings
	st.merge()
	return true, nil
}

// written reports whether images are written into the files of an environment as soon as a registry has them.
func written(fleet *v1alpha1.Fleet, env v1alpha1.Environment) bool {
	way := cmp.Or(env.Promote, fleet.Spec.Promote, v1alpha1.PromoteRevision)
	return way == v1alpha1.PromoteRevision || len(env.After) == 0
}

// foldersOf returns the folders that are written, by service, in the order of the Fleet's environments.
func foldersOf(fleet *v1alpha1.Fleet, places []layout.Place) map[string][]layout.Place {
	found := map[string]map[string]layout.Place{}
	for _, p := range places {
		if found[p.Service] == nil {
			found[p.Service] = map[string]layout.Place{}
		}
		found[p.Service][p.Environment] = p
	}
	folders := map[string][]layout.Place{}
	for service, by := range found {
		for _, env := range fleet.Spec.Environments {
			if place, ok := by[env.Name]; ok && written(fleet, env) {
				folders[service] = append(folders[service], place)
			}
		}
	}
	return folders
}

// readService reads what a service tracks, unless nothing of it has changed since it was read before.
func readService(tree *gitrepo.Tree, fleet *v1alpha1.Fleet, service string, folders []layout.Place, before reading) (reading, error) {
	key, err := keyOf(tree, fleet.Spec.Layout, folders)
	if err != nil {
		return reading{}, err
	}
	is := before
	if key != before.key {
		is = reading{key: key}
		for _, place := range folders {
			images, err := tracked(tree, fleet, place)
			if err != nil {
				is.wants, is.problem = nil, err.Error()
				break
			}
			for _, one := range images {
				is.wants = append(is.wants, want{service: service, environment: place.Environment, folder: place.Path, image: one})
			}
		}
	}
	is.wants = slices.Clone(is.wants)
	for i := range is.wants {
		is.wants[i].read(tree)
	}
	return is, nil
}

// tracked returns the images that a service tracks in the environment of a folder.
func tracked(source render.Source, fleet *v1alpha1.Fleet, place layout.Place) ([]delivery.Image, error) {
	app := &v1alpha1.App{}
	app.Spec.Service, app.Spec.Environment, app.Spec.Source.Path = place.Service, place.Environment, place.Path
	settings, err := origin.Settings(origin.Order{App: app, Fleet: fleet, Source: source})
	return settings.Images, err
}

// keyOf returns a hash over the folders of a service. An environment's folder that holds other services as well counts
// with its file alone.
func keyOf(tree *gitrepo.Tree, pattern string, folders []layout.Place) (string, error) {
	parts := make([]string, 0, len(folders)+1)
	var done []string
	for _, place := range folders {
		own, around := layout.Folders(pattern, place.Path)
		if around != own && !strings.HasPrefix(around, own+"/") {
			around = path.Join(around, delivery.FileName)
		}
		for _, name := range []string{own, around} {
			if slices.ContainsFunc(done, func(d string) bool { return name == d || strings.HasPrefix(name, d+"/") }) {
				continue
			}
			done = append(done, name)
			hash, err := tree.Hash(name)
			if err != nil && !errors.Is(err, fs.ErrNotExist) {
				return "", fmt.Errorf("read %s: %w", name, err)
			}
			parts = append(parts, name+" "+hash)
		}
	}
	return strings.Join(parts, "\n"), nil
}

// read reads what is written, unless the file is the same as before.
func (w *want) read(tree *gitrepo.Tree) {
	place, err := scribe.PlaceOf(tree, w.image, w.folder)
	if err != nil {
		w.place, w.hash, w.problem = scribe.Place{}, "", err.Error()
		return
	}
	hash, err := tree.Hash(place.File)
	if err == nil && hash == w.hash && place == w.place {
		return
	}
	w.place, w.hash, w.problem = place, hash, ""
	trail, err := tree.Trace(place.File)
	switch {
	case err == nil && len(trail.Links) > 0:
		err = fmt.Errorf("%s is reached by a symbolic link, and nothing is written through one: name %s in the update of the image %s", place.File, trail.Path, w.image.Name)
	case err == nil:
		w.now, err = scribe.Read(tree, w.image, w.folder)
	}
	if err != nil {
		w.problem = err.Error()
	}
}

// merge makes the slots of all that is wanted. Who writes into the same field has to follow the same images: if not,
// nobody writes.
func (st *state) merge() {
	before := st.slots
	st.slots = map[scribe.Place]*slot{}
	for _, service := range slices.Sorted(maps.Keys(st.readings)) {
		for _, w := range st.readings[service].wants {
			if w.place == (scribe.Place{}) {
				w.place = scribe.Place{File: w.folder, Field: "image " + w.image.Name} // so that what is wrong can be told
			}
			if s := st.slots[w.place]; s != nil {
				s.share(w)
			} else {
				st.slots[w.place] = newSlot(w)
			}
		}
	}
	for place, s := range st.slots {
		was := before[place]
		if was == nil || was.repository != s.repository || was.image.Track != s.image.Track {
			s.dirty = true
			st.soon(s.repository)
			continue
		}
		s.dirty = was.dirty || was.now != s.now || was.problem != s.problem || !slices.Equal(was.services, s.services)
		s.chosen, s.choice, s.why, s.refused, s.seen = was.chosen, was.choice, was.why, was.refused, was.seen
	}
	followed := map[string]bool{}
	for _, s := range st.slots {
		followed[s.repository] = true
	}
	maps.DeleteFunc(st.subjects, func(repository string, _ *subject) bool { return !followed[repository] })
}

func newSlot(w want) *slot {
	s := &slot{want: w, environments: []string{w.environment}, services: []string{w.service}}
	track := w.image.Track
	rule := image.Track{Range: track.Semver, Tag: track.Digest, Order: image.Order(track.Alphabetical)}
	switch {
	case track.Semver != "":
		rule.Strategy = image.Semver
	case track.Newest:
		rule.Strategy = image.Newest
	case track.Digest != "":
		rule.Strategy = image.Digest
	case track.Alphabetical != "":
		rule.Strategy = image.Alphabetical
	}
	if track.Allow != "" {
		rule.Allow = []string{track.Allow}
	}
	if track.Ignore != "" {
		rule.Ignore = []string{track.Ignore}
	}
	var err error
	if s.repository, err = image.ParseRepository(w.image.Repository); err == nil {
		s.policy, err = image.Compile(rule)
	}
	if err != nil && s.problem == "" {
		s.problem = fmt.Sprintf("%s: the image %s cannot be followed: %s", w.image.At, w.image.Name, err)
	}
	return s
}

// share lets another environment, or another service, write into the field of s.
func (s *slot) share(w want) {
	if w.image.Repository != s.image.Repository || w.image.Track != s.image.Track {
		s.problem = fmt.Sprintf("%s and %s write into one field of %s and follow different images: let them follow the same one, or write into files of their own",
			s.image.At, w.image.At, s.place.File)
		return
	}
	switch {
	case w.service == s.service:
		s.environments = append(s.environments, w.environment)
	case !slices.Contains(s.services, w.service):
		s.services = append(s.services, w.service)
	}
}

// soon makes a repository be looked at as soon as possible.
func (st *state) soon(repository string) {
	s := st.subjects[repository]
	if s == nil {
		s = &subject{repository: repository}
		st.subjects[repository] = s
	}
	s.hurry()
}
