package fleet

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/controller/scribe"
	"github.com/sengu-dev/sengu/internal/delivery"
	"github.com/sengu-dev/sengu/internal/layout"
	"github.com/sengu-dev/sengu/internal/release"
)

// chain looks at the environments of one service in their order, so that the images of one can be promoted to the next.
type chain struct {
	*survey
	service string
	// was and is are the images that each environment was meant to run, and is meant to now, and unknown are the
	// environments of which that cannot be told now.
	was, is map[string][]string
	unknown map[string]bool
	// course is what the service was meant to be, and steps the commits that bring environments there.
	course course
	steps  map[string]string
	// quarantine are the images that have failed; nil until they are asked for.
	quarantine []string
}

func (s *survey) newChain(service string) *chain {
	return &chain{
		survey: s, service: service, was: map[string][]string{}, is: map[string][]string{}, unknown: map[string]bool{},
		course: s.st.roster.course(service), steps: map[string]string{},
	}
}

// wayOf says how images come to an environment.
func wayOf(fleet *v1alpha1.Fleet, env v1alpha1.Environment) v1alpha1.Promote {
	way := fleet.Spec.Promote
	if env.Promote != "" {
		way = env.Promote
	}
	if way == "" || len(env.After) == 0 {
		return v1alpha1.PromoteRevision
	}
	return way
}

// promotes reports whether images of a Fleet come to any environment through Git.
func promotes(fleet *v1alpha1.Fleet) bool {
	return slices.ContainsFunc(fleet.Spec.Environments, func(env v1alpha1.Environment) bool {
		return wayOf(fleet, env) != v1alpha1.PromoteRevision
	})
}

// environment returns what the revision means the App of an environment to be, with what Sengu is to write for it.
func (c *chain) environment(ctx context.Context, env v1alpha1.Environment, place layout.Place, is v1alpha1.ReleaseEnvironment, exists bool) (v1alpha1.ReleaseEnvironment, bool, error) {
	if !promotes(c.fleet) {
		return c.survey.environment(ctx, c.service, env, place, is, exists)
	}
	was, err := c.imagesOf(ctx, &is)
	if err != nil {
		return is, false, err
	}
	next, differs, err := c.promoted(ctx, env, place, is, exists)
	c.was[env.Name], c.is[env.Name], c.unknown[env.Name] = was, next.Images, next.Digest == ""
	return next, differs, err
}

// imagesOf returns the images that an App was meant to run, or that it runs if no Release has told them: one that could not
// be rendered left the App as it was. What an App is meant to be is completed with them.
func (c *chain) imagesOf(ctx context.Context, is *v1alpha1.ReleaseEnvironment) ([]string, error) {
	m, runs := c.st.roster.member(layout.NameOfApp(c.fleet.Name, c.service, is.Name))
	if is.Images != nil || !runs || m.Source.Revision == "" {
		return is.Images, nil
	}
	tree, err := origin.Tree(ctx, c.Client, c.fleet, c.repository, m.Source.Revision)
	if err != nil {
		return nil, nil //nolint:nilerr // then nothing is known to have changed
	}
	was := v1alpha1.ReleaseEnvironment{Name: is.Name, Path: m.Source.Path, Cluster: m.Source.Cluster, Namespace: m.Source.Namespace}
	if err := c.render(ctx, c.service, tree, m.Source.Revision, &was); err != nil {
		return nil, err
	}
	if is.Digest != "" {
		is.Images = was.Images // without, they are not those of what it is meant to be
	}
	return was.Images, nil
}

func (c *chain) promoted(ctx context.Context, env v1alpha1.Environment, place layout.Place, is v1alpha1.ReleaseEnvironment, exists bool) (v1alpha1.ReleaseEnvironment, bool, error) {
	way := wayOf(c.fleet, env)
	var edits map[string][]byte
	var wanted []v1alpha1.WantedImage
	if way != v1alpha1.PromoteRevision {
		var err error
		if wanted, edits, err = c.wanted(ctx, env, place, is); err != nil {
			// What is wanted is kept: it is written as soon as a commit has mended the file.
			next := c.target(env, place)
			next.Problem, next.Wanted = short(err.Error()), wanted
			return next, !exists || !samePlace(is, next) || next.Problem != is.Problem, nil
		}
	}
	if len(edits) == 0 {
		next, differs, err := c.survey.environment(ctx, c.service, env, place, is, exists)
		if err == nil && !differs && is.Promote != "" && is.Problem == "" {
			// Without a step, this is the change that was to be written.
			next, c.steps[env.Name] = is, cmp.Or(c.course.Steps[env.Name], c.revision)
		}
		return next, differs, err
	}
	next := c.target(env, place)
	own, err := c.own(place.Path)
	if err != nil {
		return next, false, err
	}
	next.Own, next.Promote, next.Wanted = own, way, wanted
	if err := c.render(ctx, c.service, scribe.Over(c.tree, edits), c.revision, &next); err != nil {
		return next, false, err
	}
	if next.Problem != "" {
		next.Promote = "" // nothing is written, and the Release does not wait for it: it fails there, and says why
	}
	differs := c.differs(ctx, c.service, is, next, exists)
	if !differs {
		next = is
	}
	return next, differs, nil
}

// wanted returns the images that come to an environment from the one before it, and what files become by them. An image
// is on its way when the environment before comes to run another, until it has been written here. If they cannot be
// written, they are returned with the error.
func (c *chain) wanted(ctx context.Context, env v1alpha1.Environment, place layout.Place, is v1alpha1.ReleaseEnvironment) ([]v1alpha1.WantedImage, map[string][]byte, error) {
	tracked, err := c.tracked(env, place)
	if err != nil || len(tracked) == 0 {
		return nil, nil, nil //nolint:nilerr // a Delivery that cannot be read is told where it is rendered
	}
	var wanted []v1alpha1.WantedImage
	add := func(name, image string) {
		if image == "" || slices.ContainsFunc(wanted, func(w v1alpha1.WantedImage) bool { return w.Name == name }) {
			return
		}
		if failed, err := c.failed(ctx, image); err == nil && !failed {
			wanted = append(wanted, v1alpha1.WantedImage{Name: name, Image: image})
		}
	}
	for _, before := range env.After {
		was, now := scribe.Running(tracked, c.was[before]), scribe.Running(tracked, c.is[before])
		for _, image := range tracked {
			if c.pending(env, is, image.Name) != "" || c.was[before] != nil && now[image.Name] != was[image.Name] {
				add(image.Name, now[image.Name])
			}
		}
	}
	if slices.ContainsFunc(env.After, func(before string) bool { return c.unknown[before] }) {
		for _, image := range tracked { // who breaks the environment before takes nothing back
			add(image.Name, c.pending(env, is, image.Name))
		}
	}
	edits, err := scribe.Edits(c.tree, tracked, place.Path, wanted)
	return wanted, edits, err
}

// pending returns the image of a name that is still to be written for an environment, "" if none is. That it could not be
// written, or could not be rendered, ends nothing.
func (c *chain) pending(env v1alpha1.Environment, is v1alpha1.ReleaseEnvironment, name string) string {
	i := slices.IndexFunc(is.Wanted, func(w v1alpha1.WantedImage) bool { return w.Name == name })
	if i < 0 || is.Promote == "" && is.Problem == "" || c.course.Steps[env.Name] != "" {
		return ""
	}
	return is.Wanted[i].Image
}

// tracked are the images that the service's Delivery names for an environment.
func (c *chain) tracked(env v1alpha1.Environment, place layout.Place) ([]delivery.Image, error) {
	app := c.app(c.service, c.revision, c.target(env, place))
	settings, err := origin.Settings(origin.Order{App: app, Fleet: c.fleet, Source: c.tree})
	return settings.Images, err
}

// failed reports whether an image is one that has failed, and that nobody promotes any more.
func (c *chain) failed(ctx context.Context, image string) (bool, error) {
	if c.quarantine == nil {
		var releases v1alpha1.ReleaseList
		err := c.Client.List(ctx, &releases, client.InNamespace(c.fleet.Namespace), origin.OfService(c.fleet.Name, c.service), client.UnsafeDisableDeepCopy)
		if err != nil {
			return false, fmt.Errorf("list the Releases of %s: %w", c.service, err)
		}
		all := make([]*v1alpha1.Release, 0, len(releases.Items))
		for i := range releases.Items {
			all = append(all, &releases.Items[i])
		}
		c.quarantine = append([]string{}, release.Quarantine(all)...)
	}
	return slices.ContainsFunc(c.quarantine, func(bad string) bool { return scribe.Same(bad, image) }), nil
}

// adopt notes in the newest Release of a service which commits bring it further, where that is news.
func (c *chain) adopt(ctx context.Context) error {
	known := c.course.Steps
	if c.course.Release == "" || !slices.ContainsFunc(slices.Collect(maps.Keys(c.steps)), func(env string) bool { return known[env] == "" }) {
		return nil
	}
	one := &v1alpha1.Release{}
	if err := c.Client.Get(ctx, client.ObjectKey{Namespace: c.fleet.Namespace, Name: c.course.Release}, one); err != nil {
		return fmt.Errorf("read Release %s: %w", c.course.Release, err)
	}
	one = one.DeepCopy()
	for _, step := range stepsOf(c.steps) {
		if one.Spec.Step(step.Environment) == "" {
			one.Spec.Steps = append(one.Spec.Steps, step)
		}
	}
	if err := c.Client.Update(ctx, one); err != nil {
		return fmt.Errorf("note in Release %s the commit that brings it further: %w", one.Name, err)
	}
	c.st.roster.steer(c.service, courseOf(one))
	return nil
}

// stepsOf lists steps in the order of their environments' names.
func stepsOf(by map[string]string) []v1alpha1.ReleaseStep {
	steps := make([]v1alpha1.ReleaseStep, 0, len(by))
	for _, env := range slices.Sorted(maps.Keys(by)) {
		steps = append(steps, v1alpha1.ReleaseStep{Environment: env, Revision: by[env]})
	}
	return steps
}
