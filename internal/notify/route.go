package notify

import (
	"errors"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/google/cel-go/cel"

	"github.com/sengu-dev/sengu/internal/history"
)

// The kinds of sinks that a Route may name.
const (
	SlackSink      = "slack"
	WebhookSink    = "webhook"
	DeploymentSink = "deployment"
)

// Sinks are the kinds of sinks that there are.
func Sinks() []string { return []string{SlackSink, WebhookSink, DeploymentSink} }

// Kinds are the kinds of events that a Route may choose, in the order in which they happen.
func Kinds() []history.Kind {
	return []history.Kind{
		history.Created, history.Waiting, history.Approved, history.Promoted, history.Started, history.Verifying,
		history.JobFinished, history.Passed, history.Done, history.Failed, history.RolledBack, history.Superseded,
		history.Aborted, history.Held, history.Resumed, history.Pinned, history.Unpinned,
	}
}

// Route says which events are told to a sink. A filter that is empty lets everything pass; all of them must.
type Route struct {
	// Name of the route, unique in its Fleet.
	Name string `json:"name"`
	// Sink is slack, webhook or deployment.
	Sink string `json:"sink"`
	// Fleets, Services and Environments are names, or patterns with * ? and [a-z]. An event about a Release as a whole
	// has no environment, and is not held back by Environments.
	Fleets       []string `json:"fleets,omitempty"`
	Services     []string `json:"services,omitempty"`
	Environments []string `json:"environments,omitempty"`
	// Events are the kinds of events, such as waiting and failed.
	Events []history.Kind `json:"events,omitempty"`
	// If is a CEL expression over event that is true for what is told, such as event.loud || event.kind == "failed".
	If string `json:"if,omitempty"`
}

// Verdict is what becomes of an event at a route.
type Verdict int

// The verdicts.
const (
	// Drop: the event is of a fleet or service that the route is not about.
	Drop Verdict = iota
	// Quiet: the event is left out, and may bring up to date what has been told.
	Quiet
	// Tell: the event is told.
	Tell
)

// Filter is a Route that has been compiled.
type Filter struct {
	route   Route
	program cel.Program // nil without an expression
}

const maxRoutes, maxPatterns, maxPattern = 64, 64, 253

var routeName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$`)

// Compile compiles the routes of a Fleet. The error holds one sentence for each mistake, which names the route and the
// field.
func Compile(routes []Route) ([]*Filter, error) {
	if len(routes) > maxRoutes {
		return nil, fmt.Errorf("notifications: there are %d routes, and %d at most are allowed: merge those with the same sink", len(routes), maxRoutes)
	}
	filters := make([]*Filter, 0, len(routes))
	var problems []error
	names := map[string]bool{}
	for i, route := range routes {
		where := fmt.Sprintf("notifications[%d]", i)
		if routeName.MatchString(route.Name) {
			where = "notification " + route.Name
		}
		if names[route.Name] {
			problems = append(problems, fmt.Errorf("%s: an earlier route has the same name: give each its own", where))
		}
		names[route.Name] = true
		filter, err := route.compile()
		for _, problem := range err {
			problems = append(problems, fmt.Errorf("%s: %w", where, problem))
		}
		filters = append(filters, filter)
	}
	if len(problems) > 0 {
		return nil, errors.Join(problems...)
	}
	return filters, nil
}

func (r Route) compile() (*Filter, []error) {
	var problems []error
	if !routeName.MatchString(r.Name) {
		problems = append(problems, errors.New("name must be of at most 63 small letters, digits and hyphens, with a letter or digit at both ends"))
	}
	if !slices.Contains(Sinks(), r.Sink) {
		problems = append(problems, fmt.Errorf("sink %q is unknown: write one of %s", cut(r.Sink), strings.Join(Sinks(), ", ")))
	}
	for _, list := range []struct {
		field    string
		patterns []string
	}{{"fleets", r.Fleets}, {"services", r.Services}, {"environments", r.Environments}} {
		if len(list.patterns) > maxPatterns {
			problems = append(problems, fmt.Errorf("%s has %d patterns, and %d at most are allowed", list.field, len(list.patterns), maxPatterns))
		}
		for _, p := range list.patterns {
			if _, err := path.Match(p, ""); err != nil || p == "" || len(p) > maxPattern {
				problems = append(problems, fmt.Errorf("%s: %q is not a pattern: write a name, or part of one with * ? and [a-z]", list.field, cut(p)))
			}
		}
	}
	for _, kind := range r.Events {
		if !slices.Contains(Kinds(), kind) {
			problems = append(problems, fmt.Errorf("events: %q is no kind of event: write one of %s", cut(string(kind)), join(Kinds())))
		}
	}
	f := &Filter{route: r}
	if r.If != "" {
		program, err := expression(r.If)
		if err != nil {
			problems = append(problems, fmt.Errorf("if: %w", err))
		}
		f.program = program
	}
	return f, problems
}

// Route that was compiled.
func (f *Filter) Route() Route { return f.route }

// Of decides what becomes of an event. When the expression cannot be evaluated the event is told, since one notice too
// many is better than one too few, and the error says why.
func (f *Filter) Of(e history.Event) (Verdict, error) {
	r := f.route
	if !matches(r.Fleets, e.Fleet) || !matches(r.Services, e.Service) {
		return Drop, nil
	}
	if e.Environment != "" && !matches(r.Environments, e.Environment) {
		return Quiet, nil
	}
	if len(r.Events) > 0 && !slices.Contains(r.Events, e.Kind) {
		return Quiet, nil
	}
	if f.program == nil {
		return Tell, nil
	}
	yes, err := holds(f.program, e)
	switch {
	case err != nil:
		return Tell, fmt.Errorf("notification %s: if: %w", r.Name, err)
	case yes:
		return Tell, nil
	}
	return Quiet, nil
}

func matches(patterns []string, name string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, name)
		return ok && err == nil
	})
}

func join(kinds []history.Kind) string {
	words := make([]string, 0, len(kinds))
	for _, k := range kinds {
		words = append(words, string(k))
	}
	return strings.Join(words, ", ")
}

// cut keeps what a person wrote short enough for a sentence.
func cut(s string) string {
	const most = 80
	return Text(s, most)
}
