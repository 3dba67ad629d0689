package tracker

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode"

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
	wants []want
	// problem is why they cannot be read, "" if they can. What is away may be read again without a commit.
	problem string
	away    bool
}

// fails reports whether something of it could not be read, and may be the next time.
func (is reading) fails() bool {
	return is.problem != "" || slices.ContainsFunc(is.wants, func(w want) bool { return w.problem != "" })
}

// want is an image that one environment of a service tracks.
type want struct {
	service, environment, folder string
	image                        delivery.Image
	place                        scribe.Place
	// now is what the place says.
	now image.Reference
	// problem is why it can be neither read nor written.
	problem string
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
	if head == st.head && fleet.Generation == st.generation && !st.misses() {
		return true, nil
	}
	tree, err := origin.Tree(ctx, r.Client, fleet, repository, head)
	if err != nil {
		return false, err
	}
	concerned, err := st.concerned(ctx, fleet, repository, tree)
	if err != nil {
		return false, err
	}
	fresh, read := map[string]reading{}, map[string][]string{}
	unreadable := st.atlas.Unreadable()
	for service, why := range unreadable {
		fresh[service] = missing(service, why)
	}
	for service := range concerned {
		if unreadable[service] != nil {
			continue
		}
		is, paths, err := readService(tree, fleet, service, foldersOf(fleet, st.atlas.Places(service)))
		switch {
		case ctx.Err() != nil || errors.Is(err, gitrepo.ErrCorrupt):
			return false, cmp.Or(ctx.Err(), err) // st.head stays, so that all are read again
		case err != nil:
			fresh[service] = missing(service, err)
		default:
			fresh[service], read[service] = is, paths
		}
	}
	for service, paths := range read {
		st.readers.Put(service, paths)
	}
	st.head, st.generation = head, fleet.Generation
	st.merge(fresh)
	r.tellReadings(fleet, st, fresh)
	return true, nil
}

// missing is what is known of a service whose folders cannot be read, as those in a repository that is away.
func missing(service string, why error) reading {
	return reading{problem: fmt.Sprintf("service %s cannot be read, and its images stay as they are: %v", service, why), away: true}
}

// misses reports whether there are services that may be read again without a commit.
func (st *state) misses() bool {
	for _, is := range st.readings {
		if is.away {
			return true
		}
	}
	return false
}

// concerned returns the services that have to be read: those of which something has changed that was read or is to be, and
// those that could not be read. It is everything if that is not known.
func (st *state) concerned(ctx context.Context, fleet *v1alpha1.Fleet, repository *gitrepo.Repository, tree *gitrepo.Tree) (map[string]struct{}, error) {
	step, err := st.atlas.Follow(ctx, fleet, repository, tree)
	if err != nil {
		return nil, err
	}
	if step.From == "" || step.From != st.head || st.generation != fleet.Generation { // the Fleet may promote in another way
		services := map[string]struct{}{}
		for service := range st.atlas.All() {
			services[service] = struct{}{}
		}
		for service := range st.readings {
			services[service] = struct{}{}
		}
		return services, nil
	}
	services := st.readers.Of(step.Changes)
	maps.Copy(services, step.Moved)
	for service, is := range st.readings {
		if is.fails() {
			services[service] = struct{}{}
		}
	}
	return services, nil
}

// written reports whether images are written into the files of an environment as soon as a registry has them.
func written(fleet *v1alpha1.Fleet, env v1alpha1.Environment) bool {
	way := cmp.Or(env.Promote, fleet.Spec.Promote, v1alpha1.PromoteRevision)
	return way == v1alpha1.PromoteRevision || len(env.After) == 0
}

// foldersOf returns the folders of a service that are written, in the order of the Fleet's environments.
func foldersOf(fleet *v1alpha1.Fleet, places map[string]layout.Place) []layout.Place {
	var folders []layout.Place
	for _, env := range fleet.Spec.Environments {
		if place, ok := places[env.Name]; ok && written(fleet, env) {
			folders = append(folders, place)
		}
	}
	return folders
}

// readService reads what a service tracks. It returns the paths that it has read too.
func readService(tree *gitrepo.Tree, fleet *v1alpha1.Fleet, service string, folders []layout.Place) (is reading, read []string, err error) {
	seen := render.NewRecorder(tree)
	for _, place := range folders {
		images, err := tracked(seen, fleet, place)
		if err != nil {
			is.wants, is.problem = nil, err.Error()
			break
		}
		for _, one := range images {
			w := want{service: service, environment: place.Environment, folder: place.Path, image: one}
			w.read(tree, seen)
			is.wants = append(is.wants, w)
		}
	}
	set, err := seen.ReadSet()
	if err != nil {
		return reading{}, nil, fmt.Errorf("note what tells the images of %s: %w", service, err)
	}
	return is, set.Paths(), nil
}

// tracked returns the images that a service tracks in the environment of a folder.
func tracked(source render.Source, fleet *v1alpha1.Fleet, place layout.Place) ([]delivery.Image, error) {
	app := &v1alpha1.App{}
	app.Spec.Service, app.Spec.Environment, app.Spec.Source.Path = place.Service, place.Environment, place.Path
	settings, err := origin.Settings(origin.Order{App: app, Fleet: fleet, Source: source})
	return settings.Images, err
}

// read reads what is written. What it looks at, seen takes note of.
func (w *want) read(tree *gitrepo.Tree, seen render.Source) {
	place, err := scribe.PlaceOf(seen, w.image, w.folder)
	if err != nil {
		w.place, w.problem = scribe.Place{File: w.folder, Field: "image " + w.image.Name}, err.Error() // so that what is wrong can be told
		return
	}
	w.place = place
	now, err := scribe.Read(seen, w.image, w.folder)
	if trail, traced := tree.Trace(place.File); traced != nil {
		err = traced
	} else if strings.ContainsFunc(place.File, func(c rune) bool { return c == '\\' || unicode.IsControl(c) }) {
		err = fmt.Errorf("%q is not a path that is written to: name another file in the update of the image %s", place.File, w.image.Name)
	} else if len(trail.Links) > 0 {
		err = fmt.Errorf("%s is reached by a symbolic link, and nothing is written through one: name %s in the update of the image %s", place.File, trail.Path, w.image.Name)
	}
	if err != nil {
		w.problem = err.Error()
		return
	}
	w.now = now
}
