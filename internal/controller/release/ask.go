package release

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/delivery"
	"github.com/sengu-dev/sengu/internal/probe"
	"github.com/sengu-dev/sengu/internal/release"
)

// askers is how many checks are asked at once over HTTP, so that slow answers of some hold up no other for long.
const askers = 64

// asker asks checks beside the Reconciles, which never wait for an answer.
type asker struct {
	group sync.WaitGroup

	mu     sync.Mutex
	slots  chan struct{}
	closed bool
	// asking are the checks that have not been answered, and looks the answers that nobody has taken in, by service.
	asking map[release.StepKey]bool
	looks  map[types.NamespacedName]map[release.StepKey]release.Look
}

// answers returns what was answered about the Releases of a service, also of those that are gone, and forgets it.
func (a *asker) answers(service types.NamespacedName) map[release.StepKey]release.Look {
	a.mu.Lock()
	defer a.mu.Unlock()
	found := a.looks[service]
	delete(a.looks, service)
	return found
}

// begin reports whether a check is to be asked now: it is not being asked already.
func (a *asker) begin(service types.NamespacedName, key release.StepKey) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.asking == nil {
		a.asking, a.looks, a.slots = map[release.StepKey]bool{}, map[types.NamespacedName]map[release.StepKey]release.Look{}, make(chan struct{}, askers)
	}
	if _, answered := a.looks[service][key]; a.closed || a.asking[key] || answered {
		return false
	}
	a.asking[key] = true
	return true
}

// end takes in an answer.
func (a *asker) end(service types.NamespacedName, key release.StepKey, look release.Look) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.asking, key)
	if a.looks[service] == nil {
		a.looks[service] = map[release.StepKey]release.Look{}
	}
	a.looks[service][key] = look
}

// give takes back that a check is being asked.
func (a *asker) give(key release.StepKey) {
	a.mu.Lock()
	defer a.mu.Unlock()
	delete(a.asking, key)
}

// close waits until nothing is asked any more. The context of those who ask has to have ended.
func (a *asker) close() {
	a.mu.Lock()
	a.closed = true
	a.mu.Unlock()
	a.group.Wait()
}

// ask asks the checks that are due, and wakes their service when they are answered.
func (r *Reconciler) ask(ctx context.Context, fleet *v1alpha1.Fleet, world release.Service, due []release.StepKey) {
	service := keyOf(fleet.Namespace, fleet.Name, world.Name)
	for _, key := range due {
		if !r.asker.begin(service, key) {
			continue
		}
		r.asker.group.Go(func() {
			select {
			case r.asker.slots <- struct{}{}:
				defer func() { <-r.asker.slots }()
			case <-ctx.Done():
				r.asker.give(key)
				return
			}
			look := r.look(ctx, fleet, world, key)
			if ctx.Err() != nil {
				r.asker.give(key) // what was interrupted says nothing
				return
			}
			r.asker.end(service, key, look)
			r.waker.Wake(service)
		})
	}
}

// look asks one check once.
func (r *Reconciler) look(ctx context.Context, fleet *v1alpha1.Fleet, world release.Service, key release.StepKey) release.Look {
	h, ok := r.plans.request(types.NamespacedName{Namespace: fleet.Namespace, Name: key.Release}, key)
	if !ok {
		return release.Look{Message: "it is not known yet what to ask"}
	}
	check, err := checkOf(h, world.Name, key.Environment)
	if err != nil {
		return release.Look{Message: err.Error()}
	}
	if !probe.IsService(check.URL) {
		return lookOf(probe.Do(ctx, r.Probes, check))
	}
	for _, one := range world.Releases {
		env, found := intent(one, key.Environment)
		if one.Name != key.Release || !found {
			continue
		}
		t, reason := r.Targets.Get(types.NamespacedName{Namespace: fleet.Namespace, Name: env.Cluster})
		if t == nil {
			return release.Look{Message: waitsFor(env.Cluster, reason)}
		}
		app := appOf(fleet, one, env)
		app.Spec.ServiceAccountName = fleet.Spec.ServiceAccountName
		return lookOf(probe.Service(ctx, r.Probes, probe.Target{Conn: t.Conn, As: origin.As(app), Namespace: env.Namespace, Flow: app.Name}, check))
	}
	return release.Look{Message: fmt.Sprintf("the Release has no environment %s", key.Environment)}
}

// lookOf takes in an answer. One that was refused can only be so for what a plan does not show: where a name leads to.
func lookOf(result probe.Result) release.Look {
	return release.Look{Passed: result.OK, Evidence: result.Evidence, Message: result.Sentence}
}

// validate refuses what the probe would not ask, with a sentence that begins with the field.
func (r *Reconciler) validate(h delivery.HTTP, service, environment string) error {
	check, err := checkOf(h, service, environment)
	if err == nil {
		err = check.Validate()
	}
	if err == nil {
		err = r.Probes.Refuses(check)
	}
	return err
}

// checkOf is what a Delivery asks over HTTP, for one service in one environment. Its error begins with the field, and
// holds nothing of its value.
func checkOf(h delivery.HTTP, service, environment string) (probe.Check, error) {
	check := probe.Check{
		URL:    strings.NewReplacer("{service}", service, "{environment}", environment).Replace(h.URL),
		Method: h.Verb(), Headers: h.Headers, Status: h.Status, Timeout: h.Timeout,
	}
	if h.Body == "" {
		return check, nil
	}
	body, err := regexp.Compile(h.Body)
	if err != nil {
		why := ""
		if wrong := (*syntax.Error)(nil); errors.As(err, &wrong) {
			why = ": " + wrong.Code.String()
		}
		return check, errors.New("body must be a regular expression (RE2)" + why)
	}
	check.Body = body
	return check, nil
}
