package fleet

import (
	"context"
	"errors"
	"fmt"
	"sync"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/controller/scribe"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/layout"
	"github.com/sengu-dev/sengu/internal/render"
)

// survey is one look at what a revision means the services of a Fleet to be.
type survey struct {
	*Reconciler
	fleet      *v1alpha1.Fleet
	st         *state
	repository *gitrepo.Repository
	tree       *gitrepo.Tree
	revision   string
	commit     gitrepo.CommitInfo
	// since is the commit after which others may tell of the images that are looked at, "" if none is known. Images are those
	// that they tell, nil until they are asked for, which happens while heard is held.
	since  string
	heard  sync.Mutex
	images []string
	// sequence of the Releases of the commit. Those of an old commit, which is looked at anew, are not of its group: nobody
	// approved them, or saw them fail.
	sequence int64
	anew     bool
	// places are the folders of the revision, by service and environment, of the services that are looked at.
	places map[string]map[string]layout.Place
	// baseline is true until a revision has been compared once.
	baseline bool
}

// begin gets what is needed to look at services.
func (s *survey) begin(ctx context.Context, services map[string]bool) error {
	s.places = make(map[string]map[string]layout.Place, len(services))
	for service := range services {
		s.places[service] = s.st.atlas.Places(service)
	}
	var err error
	if s.commit, err = s.repository.Commit(ctx, s.revision); err != nil {
		return err
	}
	s.since = s.lastLook(services)
	return s.clustersKnown(ctx, s.fleet)
}

// lastLook returns the commit that services were compared with last. If the look at one of them has not come to its end
// since, or if it is not known, that is the one, of those that they were released with, that lies furthest back.
func (s *survey) lastLook(services map[string]bool) string {
	if compared := s.st.compared; compared != "" && compared != s.revision && !s.unfinished(services) {
		return compared
	}
	furthest, found := int64(0), ""
	for service := range services {
		c := s.st.roster.course(service)
		for _, env := range s.fleet.Spec.Environments {
			if c.Revision != "" {
				break
			}
			// Without a Release, its Apps are as they were found first.
			m, _ := s.st.roster.member(layout.NameOfApp(s.fleet.Name, service, env.Name))
			c.Revision = m.Source.Revision
		}
		if c.Revision != "" && (found == "" || c.Sequence < furthest) {
			furthest, found = c.Sequence, c.Revision
		}
	}
	return found
}

// unfinished reports whether the last look at one of services has failed, or has not ended and is given up for this one.
func (s *survey) unfinished(services map[string]bool) bool {
	s.planner.mu.Lock()
	defer s.planner.mu.Unlock()
	for service, suspect := range services {
		if suspect || s.planner.tasks[task{client.ObjectKeyFromObject(s.fleet), service}] != nil {
			return true
		}
	}
	return false
}

const (
	// maxHeard is how many commits are asked for the images that they tell, and maxTale how many images are taken from all.
	maxHeard = 500
	maxTale  = 2000
)

// hear finds out which images the commits tell that have come since the last look: one push may bring many, each of
// another service. It costs a call of Git, so that nobody is asked before the first Release is made. What commits tell is
// a hint, and nothing waits for what cannot be read.
func (s *survey) hear(ctx context.Context) error {
	s.heard.Lock()
	defer s.heard.Unlock()
	if s.images != nil {
		return nil
	}
	commits := []gitrepo.CommitInfo{s.commit}
	if s.since != "" && s.since != s.revision {
		since, _, err := s.repository.Log(ctx, s.since, s.revision, maxHeard)
		if err != nil && ctx.Err() == nil {
			s.Log.Warn("only the newest commit is asked for the digests of images", "fleet", s.fleet.Name, "since", s.since, "error", err)
		}
		if len(since) > 0 {
			commits = since
		}
	}
	images := []string{}
	for _, commit := range commits {
		if message, err := s.repository.Message(ctx, commit.Hash); err == nil && len(images) < maxTale {
			images = append(images, scribe.ImagesOf(message)...)
		}
	}
	if ctx.Err() != nil {
		return ctx.Err() // whoever asks next may have more time
	}
	s.images = images
	return nil
}

// moved reports whether a folder of a service came, went or leads elsewhere.
func (s *survey) moved(service string) bool {
	for _, env := range s.fleet.Spec.Environments {
		place, wanted := s.places[service][env.Name]
		is, exists := s.intended(service, env.Name)
		switch {
		case wanted && !exists:
			if !s.baseline {
				return true
			}
		case wanted != exists, wanted && !samePlace(is, s.target(env, place)):
			return true
		}
	}
	return false
}

// intended returns what an App is meant to be: by the newest Release of its service, or by itself.
func (s *survey) intended(service, environment string) (v1alpha1.ReleaseEnvironment, bool) {
	name := layout.NameOfApp(s.fleet.Name, service, environment)
	m, exists := s.st.roster.member(name)
	if was, lost := s.st.roster.missing(name); lost && !exists {
		m, exists = memberOf(&v1alpha1.App{Spec: was}), true // it is made again as it was
	}
	if is, ok := s.st.roster.course(service).Environments[environment]; ok {
		// An App that outlived a Release that meant it to go has been given back since.
		return is, !is.Gone
	}
	return v1alpha1.ReleaseEnvironment{
		Name: environment, Path: m.Source.Path, Cluster: m.Source.Cluster, Namespace: m.Source.Namespace, Digest: m.Digest,
	}, exists && m.Removal == ""
}

func samePlace(a, b v1alpha1.ReleaseEnvironment) bool {
	return a.Path == b.Path && a.Cluster == b.Cluster && a.Namespace == b.Namespace
}

// target is where a folder leads.
func (s *survey) target(env v1alpha1.Environment, place layout.Place) v1alpha1.ReleaseEnvironment {
	source := layout.SpecOf(s.fleet, env, place, s.revision).Source
	return v1alpha1.ReleaseEnvironment{Name: env.Name, Path: source.Path, Cluster: source.Cluster, Namespace: source.Namespace}
}

// service returns what the revision means a service to be in each environment, and whether that is news.
func (s *survey) service(ctx context.Context, chain *chain) (environments []v1alpha1.ReleaseEnvironment, news bool, err error) {
	service := chain.service
	for _, env := range s.fleet.Spec.Environments {
		place, wanted := s.places[service][env.Name]
		is, exists := s.intended(service, env.Name)
		switch {
		case !wanted && !exists:
			if is.Gone && s.running(service, env.Name) {
				environments = append(environments, is) // it is on its way out
			}
			continue
		case !wanted:
			is.Gone, is.Digest, is.Problem, is.Images = true, "", "", nil
			environments, news = append(environments, is), true
			continue
		case !exists && s.baseline:
			continue // it is made as it is
		}
		next, differs, err := chain.environment(ctx, env, place, is, exists)
		if err != nil {
			return nil, false, err
		}
		environments, news = append(environments, next), news || differs
	}
	if news {
		err = s.hear(ctx)
	}
	return environments, news, err
}

func (s *survey) running(service, environment string) bool {
	_, runs := s.st.roster.member(layout.NameOfApp(s.fleet.Name, service, environment))
	return runs
}

// environment returns what the revision means one App to be, and whether that differs from what it is meant to be.
func (s *survey) environment(ctx context.Context, service string, env v1alpha1.Environment, place layout.Place, is v1alpha1.ReleaseEnvironment, exists bool) (v1alpha1.ReleaseEnvironment, bool, error) {
	next := s.target(env, place)
	own, err := s.own(place.Path)
	if err != nil {
		return next, false, err
	}
	if exists && samePlace(is, next) {
		same, err := s.reads(service, env.Name, is)
		if err != nil {
			return next, false, err
		}
		if same {
			is.Own = own
			return is, false, nil
		}
	}
	next.Own = own
	if err := s.render(ctx, service, s.tree, s.revision, &next); err != nil {
		return next, false, err
	}
	return next, s.differs(ctx, service, is, next, exists), nil
}

// differs reports whether what a revision means an App to be is other than what it is meant to be.
func (s *survey) differs(ctx context.Context, service string, is, next v1alpha1.ReleaseEnvironment, exists bool) bool {
	if exists && is.Digest == "" && is.Problem == "" && next.Digest != "" {
		s.recall(ctx, service, &is)
	}
	return !exists || !samePlace(is, next) || next.Digest == "" && next.Problem == "" || next.Digest != is.Digest || next.Problem != is.Problem
}

// own returns the hash of the service's own files.
func (s *survey) own(path string) (string, error) {
	folder, _ := layout.Folders(s.fleet.Spec.Layout, path)
	hash, err := s.tree.Hash(folder)
	if err != nil {
		return "", fmt.Errorf("read folder %s: %w", folder, err)
	}
	return hash, nil
}

// reads reports whether the revision holds what the intended state was rendered from.
func (s *survey) reads(service, environment string, is v1alpha1.ReleaseEnvironment) (bool, error) {
	if is.Digest == "" && is.Problem == "" {
		return false, nil // what was read then is not all that it is rendered from
	}
	name := layout.NameOfApp(s.fleet.Name, service, environment)
	was, known := s.st.roster.reading(name)
	m, _ := s.st.roster.member(name)
	if !known || was.digest != is.Digest {
		if m.Digest != is.Digest || m.Inputs == nil || m.Otherwise || m.Renderer != s.Renders {
			return false, nil
		}
		was = reading{inputs: m.Inputs, state: m.InputsDigest}
	}
	if m.Otherwise {
		return false, nil
	}
	digest, err := render.DigestOf(s.tree, was.inputs)
	if err != nil {
		return false, fmt.Errorf("compare the inputs of App %s with %.7s: %w", name, s.revision, err)
	}
	return digest == was.state, nil
}

// render finds out what a revision renders in an environment. A failure that a new commit has to mend becomes the
// problem of the environment; one of a remote that may pass leaves it without a digest. What else may pass is an error.
func (s *survey) render(ctx context.Context, service string, tree render.Source, revision string, env *v1alpha1.ReleaseEnvironment) error {
	t, _ := s.Targets.Get(types.NamespacedName{Namespace: s.fleet.Namespace, Name: env.Cluster})
	if t == nil {
		return nil // what the cluster is capable of is not known
	}
	app := s.app(service, revision, *env)
	name := app.Name
	rec := render.NewRecorder(tree)
	maker := origin.Maker{Renderer: s.Renderer, Secrets: s.Client, Key: s.Key}
	d, err := maker.Plan(ctx, origin.Order{App: app, Fleet: s.fleet, Source: rec, Capabilities: t.Capabilities})
	if ctx.Err() != nil {
		return ctx.Err()
	}
	if failure := (*render.Error)(nil); err != nil && origin.Passing(err) && !errors.As(err, &failure) {
		return err
	}
	if err != nil && !origin.Passing(err) {
		env.Problem = short(err.Error())
	}
	env.Digest, env.Images, env.RollbackBlocked = d.Digest, d.Images, d.Settings.Rollback.Blocked
	inputs, readErr := rec.ReadSet()
	if readErr != nil {
		return fmt.Errorf("note what App %s reads: %w", name, readErr)
	}
	if d.Inputs != nil {
		inputs = d.Inputs
	}
	if tree == render.Source(s.tree) {
		known := reading{service: service, digest: d.Digest, inputs: inputs.Paths(), state: inputs.Digest()}
		s.st.roster.plan(name, known, d.Digest != "" || env.Problem != "")
	}
	return nil
}

// app is the App that a revision means, which need not exist.
func (s *survey) app(service, revision string, env v1alpha1.ReleaseEnvironment) *v1alpha1.App {
	return &v1alpha1.App{
		ObjectMeta: metav1.ObjectMeta{Namespace: s.fleet.Namespace, Name: layout.NameOfApp(s.fleet.Name, service, env.Name)},
		Spec: v1alpha1.AppSpec{
			Fleet: s.fleet.Name, Service: service, Environment: env.Name,
			Source: v1alpha1.AppSource{Revision: revision, Path: env.Path, Cluster: env.Cluster, Namespace: env.Namespace},
		},
	}
}

// recall finds out what an App renders that has not said so yet.
func (s *survey) recall(ctx context.Context, service string, is *v1alpha1.ReleaseEnvironment) {
	m, _ := s.st.roster.member(layout.NameOfApp(s.fleet.Name, service, is.Name))
	if m.Source.Revision == "" || m.Source.Revision == s.revision {
		return
	}
	tree, err := origin.Tree(ctx, s.Client, s.fleet, s.repository, m.Source.Revision)
	if err != nil {
		return // then it counts as changed
	}
	was := *is
	if err := s.render(ctx, service, tree, m.Source.Revision, &was); err == nil {
		is.Digest = was.Digest
	}
}

// maxProblem bounds a sentence in a Release, in bytes.
const maxProblem = 1500

func short(text string) string {
	if len(text) > maxProblem {
		return text[:maxProblem] + " …"
	}
	return text
}

// again returns the sequence of the Releases of a commit that renders something else than when it was released, as after an
// upgrade, of a service that had one of another sequence last: that of the newest Release, if it was made for the same
// reason, so that all of them are one group.
func again(newest course, last int64, revision string) int64 {
	if newest.Revision == revision && newest.Sequence > last {
		return newest.Sequence
	}
	return max(newest.Sequence, last) + 1
}

// release is the Release that makes environments of a service.
func (s *survey) release(service string, environments []v1alpha1.ReleaseEnvironment, steps []v1alpha1.ReleaseStep) *v1alpha1.Release {
	sequence := s.sequence
	if last := s.st.roster.course(service).Sequence; s.anew || last >= sequence {
		sequence = again(s.st.roster.last(), max(last, sequence), s.revision)
	}
	committed := metav1.NewTime(s.commit.When)
	group := fmt.Sprintf("%s.%.7s.%d", s.fleet.Name, s.revision, sequence)
	return &v1alpha1.Release{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: s.fleet.Namespace, Name: fmt.Sprintf("%s.%s.%.7s.%d", service, s.fleet.Name, s.revision, sequence),
			Labels: map[string]string{v1alpha1.LabelFleet: s.fleet.Name, v1alpha1.LabelService: service, v1alpha1.LabelGroup: group},
		},
		Spec: v1alpha1.ReleaseSpec{
			Fleet: s.fleet.Name, Service: service, Revision: s.revision, Sequence: sequence, Group: group,
			Commit: v1alpha1.Commit{
				Title: clip(s.commit.Subject), Author: clip(s.commit.Author + " <" + s.commit.Address + ">"), Committed: &committed,
				Images: scribe.Told(s.images, environments),
			},
			Environments: environments, Steps: steps,
		},
	}
}

// clip bounds what a commit says of itself, in characters.
func clip(text string) string {
	const longest = 200
	if runes := []rune(text); len(runes) > longest {
		return string(runes[:longest]) + "…"
	}
	return text
}
