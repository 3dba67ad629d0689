package release

import (
	"context"
	"errors"
	"fmt"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/controller/target"
	"github.com/sengu-dev/sengu/internal/job"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/layout"
	"github.com/sengu-dev/sengu/internal/manifest"
	"github.com/sengu-dev/sengu/internal/release"
	"github.com/sengu-dev/sengu/internal/render"
)

// asked is a Job that the status of a Release asks for.
type asked struct {
	fleet *v1alpha1.Fleet
	one   *v1alpha1.Release
	env   v1alpha1.ReleaseEnvironment
	key   release.StepKey
	// step is what the status says of it.
	step v1alpha1.StepStatus
	// barred is why nothing is made any more, "" if it is: what was made is followed.
	barred string
	t      *target.Target
}

// order is a Job that was asked for, and whom it is run as.
type order struct {
	spec job.Spec
	as   kube.As
}

// errLasting is what the trouble wraps that no other try mends, and errUnplanned what is wrong while nobody knows what
// the Release does.
var (
	errBarred    = errors.New("nothing is begun any more")
	errLasting   = errors.New("it is so at this revision")
	errUnplanned = errors.New("it is not known what is to be done")
)

// trouble is a sentence of one of the kinds above.
type trouble struct {
	sentence string
	kind     error
}

func (t *trouble) Error() string { return t.sentence }
func (t *trouble) Unwrap() error { return t.kind }

// passes reports whether what is wrong with an order may pass by itself, or by what somebody does elsewhere: a remote
// that is down, an API server that does not answer. What is not known to last may.
func passes(err error) bool {
	var failure *render.Error
	var refusal *job.Refusal
	switch {
	case errors.As(err, &failure):
		return failure.Temporary
	case errors.As(err, &refusal):
		return refusal.Temporary
	case errors.Is(err, errLasting):
		return false
	case apierrors.IsForbidden(err):
		return strings.Contains(err.Error(), "exceeded quota")
	}
	return !apierrors.IsInvalid(err) && !apierrors.IsBadRequest(err) && !apierrors.IsMethodNotSupported(err) && !apierrors.IsRequestEntityTooLargeError(err)
}

// names returns what the Job of a step is called: what its status says, or the name that it gets. There, was is the name
// that it got before Releases of the same revision were told apart: a crash may have kept one from being noted.
func (a asked) names() (is, was string) {
	if a.step.Job != "" && a.step.Job != a.key.Step { // a step that was only noted is called as itself
		return a.step.Job, ""
	}
	app, revision := layout.NameOfApp(a.fleet.Name, a.one.Spec.Service, a.env.Name), a.one.Spec.RevisionIn(a.env.Name)
	before := revision
	if a.key.Attempt > 0 {
		before = fmt.Sprintf("%s.%d", revision, a.key.Attempt)
	}
	// A branch that goes back to a commit, or a commit that renders something else now, is another Release.
	run := fmt.Sprintf("%s %d.%d", revision, a.one.Spec.Sequence, a.key.Attempt)
	return job.Name(app, run, a.key.Step), job.Name(app, before, a.key.Step)
}

// blank is the order of a Job that was made already, of which nothing has to be known but whose it is.
func (a asked) blank(app *v1alpha1.App) order {
	name, _ := a.names()
	return order{as: origin.As(app), spec: job.Spec{
		Name: name, Namespace: a.env.Namespace, UID: a.step.UID,
		// The App may not exist before its first Job has run; the Fleet does.
		Owner:   manifest.Owner{Namespace: a.fleet.Namespace, Name: app.Name, UID: string(a.fleet.UID)},
		Release: a.one.Name, Environment: a.env.Name, Step: a.key.Step,
	}}
}

// order makes the Job of a step, once: it takes a render. One that was made before is found by its name, whatever has
// become of what it was made from: it runs. With an error it tells whether it is known that there is none.
func (r *Reconciler) order(ctx context.Context, a asked) (order, existence, error) {
	if o, ok := r.jobs.known(a.key); ok && (a.barred == "" || o.spec.UID != "" || a.step.UID != "") {
		if a.step.UID != "" {
			o.spec.UID = a.step.UID
		}
		return o, maybe, nil
	}
	app := appOf(a.fleet, a.one, a.env)
	app.Spec.ServiceAccountName = a.fleet.Spec.ServiceAccountName
	o := a.blank(app)
	var err error
	switch {
	case a.barred != "":
		err = &trouble{a.barred, errBarred}
	case a.step.UID == "":
		err = r.prepare(ctx, a, app, &o)
	}
	if a.step.UID != "" || err != nil {
		found, is, unread := a.find(ctx, o.spec)
		switch {
		case is:
			o.spec = found
		case unread != nil && (err == nil || passes(unread)):
			return order{}, maybe, unread
		case err != nil && a.step.UID == "":
			return order{}, nowhere, err
		}
	}
	r.jobs.remember(a.key, o)
	return o, maybe, nil
}

// find looks for the Job of a step that may have been made, under each of its names.
func (a asked) find(ctx context.Context, s job.Spec) (job.Spec, bool, error) {
	var was string
	if s.Name, was = a.names(); was == "" {
		return job.Find(ctx, a.t.Conn, s)
	}
	if found, is, err := job.Find(ctx, a.t.Conn, s); is || err != nil {
		return found, is, err
	}
	s.Name = was
	return job.Find(ctx, a.t.Conn, s)
}

// prepare fills in what the Job of a step is made from, and makes the namespace that it goes to.
func (r *Reconciler) prepare(ctx context.Context, a asked, app *v1alpha1.App, o *order) error {
	does := r.plans.plan(types.NamespacedName{Namespace: a.one.Namespace, Name: a.one.Name}, a.env.Name)
	work, ok := does.jobs[a.key.Step]
	switch {
	case does.Problem != "":
		return &trouble{does.Problem, errUnplanned}
	case !ok:
		return &trouble{fmt.Sprintf("sengu.yaml has no step %s any more", a.key.Step), errLasting}
	}
	o.spec.Timeout = work.Timeout
	if work.Name == "" {
		limit := int32(min(work.BackoffLimit, 10)) //nolint:gosec // bounded
		o.spec.BackoffLimit = &limit
		o.spec.Container = containerOf(work)
	} else if err := r.template(ctx, a, app, work.Name, &o.spec); err != nil {
		return err
	}
	if work.createNamespace {
		if err := a.t.EnsureNamespace(ctx, a.env.Namespace, o.as, app.Name); err != nil {
			return err
		}
	}
	_, was := a.names()
	if was == "" {
		return nil
	}
	former := o.spec
	former.Name = was
	former, is, err := job.There(ctx, a.t.Conn, former)
	if is {
		o.spec = former
	}
	return err
}

// template takes the Job of a step from the objects of the service.
func (r *Reconciler) template(ctx context.Context, a asked, app *v1alpha1.App, name string, spec *job.Spec) error {
	tree, err := r.tree(ctx, a.fleet, app.Spec.Source.Revision)
	if err != nil {
		return err
	}
	rendered, err := r.Maker.Jobs(ctx, origin.Order{App: app, Fleet: a.fleet, Source: tree, Capabilities: a.t.Capabilities})
	if err != nil {
		return err
	}
	object, ok := rendered[name]
	if !ok {
		return &trouble{fmt.Sprintf("there is no Job %s among the objects of %s, which its sengu.yaml runs as a step", name, app.Name), errLasting}
	}
	spec.Template = object
	if ns := object.GetNamespace(); ns != "" {
		spec.Namespace = ns
	}
	return nil
}

func containerOf(work work) job.Container {
	c := job.Container{Image: work.Image, Command: work.Command, Args: work.Args, ServiceAccountName: work.ServiceAccountName}
	for name, value := range work.Env {
		c.Env = append(c.Env, corev1.EnvVar{Name: name, Value: value})
	}
	return c
}
