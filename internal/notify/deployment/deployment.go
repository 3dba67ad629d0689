package deployment

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/notify"
)

// The states of a deployment.
const (
	Queued     = "queued"
	InProgress = "in_progress"
	Success    = "success"
	Failure    = "failure"
	Inactive   = "inactive"
)

// The states of a commit, beside Success and Failure.
const (
	Pending = "pending"
	Error   = "error"
)

// Forge is what is needed of one repository on a forge. Setting what is set already does no harm. Errors are those of
// notify.Sink: *notify.BusyError for a rate limit, *notify.RefusedError for what the forge will never take.
type Forge interface {
	// SetDeployment says how the deployment of a commit to an environment goes, and makes one if there is none. The
	// error matches errors.ErrUnsupported if the forge knows no deployments; then statuses are enough.
	SetDeployment(ctx context.Context, sha, environment, state, description, url string) error
	// SetStatus sets the status of a commit that is called name.
	SetStatus(ctx context.Context, sha, name, state, description, url string) error
}

// Options of a Sink.
type Options struct {
	Forge Forge
	// Link is the address of a page about the event, or ""; nil for none.
	Link func(history.Event) string
}

// Sink sets deployments and statuses.
type Sink struct{ opts Options }

// New makes a Sink.
func New(opts Options) (*Sink, error) {
	if opts.Forge == nil {
		return nil, errors.New("a sink for deployments needs a forge")
	}
	if opts.Link == nil {
		opts.Link = func(history.Event) string { return "" }
	}
	return &Sink{opts}, nil
}

const (
	maxDescription = 140 // GitHub takes no more
	maxPlaces      = 32  // environments that are remembered of one Release
)

var hash = regexp.MustCompile(`^([0-9a-f]{40}|[0-9a-f]{64})$`)

// record is what is remembered of one Release, or of one commit of a service where there is no Release.
type record struct {
	Places []*place `json:"places"`
}

// place is one environment, and what the forge was told of it last.
type place struct {
	Environment string    `json:"environment"`
	Service     string    `json:"service"`
	Revision    string    `json:"revision"`
	State       string    `json:"state"`
	At          time.Time `json:"at"`
	Key         string    `json:"key"`
}

// step is what has to be told of one place.
type step struct {
	record string // key of its record
	first  int    // the first notice that is about it
	event  history.Event
	// deployment and status are states; "" is not told.
	deployment, status, text string
	// before is a revision that runs no longer.
	before string
}

// sameAs reports whether both are about one deployment, of which only the last state counts.
func (s *step) sameAs(other *step) bool {
	return s.record == other.record && s.event.Environment == other.event.Environment && s.event.Revision == other.event.Revision
}

// Tell brings the forge to the last state of every place that the notices are about.
func (s *Sink) Tell(ctx context.Context, memory notify.Memory, notices []notify.Notice) (int, error) {
	records := map[string]*record{}
	var steps []*step
	for i, n := range notices {
		if !hash.MatchString(n.Revision) {
			continue
		}
		key := recordKey(n.Event)
		if records[key] == nil {
			r, err := recall(ctx, memory, key)
			if err != nil {
				return i, err
			}
			records[key] = r
		}
		for _, next := range plan(records[key], steps, key, i, n.Event) {
			at := slices.IndexFunc(steps, next.sameAs)
			switch {
			case at < 0:
				steps = append(steps, next)
			case !next.event.Time.Before(steps[at].event.Time):
				next.first = steps[at].first
				steps[at] = next
			}
		}
	}
	for _, step := range steps {
		if err := s.do(ctx, memory, records[step.record], step); err != nil {
			return step.first, err
		}
	}
	return len(notices), nil
}

func recordKey(e history.Event) string {
	if e.Release == "" {
		return "commit/" + e.Fleet + "/" + e.Service + "/" + e.Revision
	}
	return "release/" + e.Fleet + "/" + e.Release
}

func recall(ctx context.Context, memory notify.Memory, key string) (*record, error) {
	value, err := memory.Recall(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("recall what the forge was told: %w", err)
	}
	r := &record{}
	if len(value) == 0 {
		return r, nil
	}
	if err := json.Unmarshal(value, r); err != nil {
		return nil, fmt.Errorf("what is remembered of the deployment cannot be read: %w", err)
	}
	return r, nil
}

// plan says what an event means for the forge. An event without an environment ends what its Release has begun.
func plan(r *record, steps []*step, key string, i int, e history.Event) []*step {
	one := translate(e)
	one.record, one.first = key, i
	if e.Environment != "" {
		if one.deployment == "" && one.status == "" {
			return nil
		}
		return []*step{&one}
	}
	if e.Kind != history.Superseded && e.Kind != history.Aborted {
		return nil
	}
	var ends []*step
	end := func(environment string) {
		next := one
		next.event.Environment = environment
		ends = append(ends, &next)
	}
	for _, p := range r.Places {
		if open(p.State) && p.Revision == e.Revision && !slices.ContainsFunc(steps, func(s *step) bool { return s.record == key && s.event.Environment == p.Environment }) {
			end(p.Environment)
		}
	}
	for _, s := range steps {
		if s.record == key && s.status == Pending && s.event.Revision == e.Revision {
			end(s.event.Environment)
		}
	}
	return ends
}

func open(state string) bool { return state == Queued || state == InProgress || state == Pending }

// translate gives the states that an event stands for.
func translate(e history.Event) step {
	s := step{event: e}
	switch e.Kind {
	case history.Waiting:
		s.deployment, s.status, s.text = Queued, Pending, "waits"
	case history.Approved, history.Promoted:
		s.deployment, s.status, s.text = Queued, Pending, string(e.Kind)+" by "+e.By
	case history.Started:
		s.deployment, s.status, s.text = InProgress, Pending, "is being deployed"
	case history.Verifying:
		s.deployment, s.status, s.text = InProgress, Pending, "is being verified"
	case history.Done:
		s.deployment, s.status, s.text = Success, Success, "is live"
	case history.Passed:
		s.status, s.text = Success, "renders the same"
	case history.Failed:
		s.deployment, s.status, s.text = Failure, Failure, "failed"
	case history.RolledBack:
		s.deployment, s.text = Success, "is live again after a rollback"
		if e.Previous != e.Revision && hash.MatchString(e.Previous) {
			s.before = e.Previous
		}
	case history.Superseded, history.Aborted:
		s.deployment, s.status, s.text = Inactive, Error, string(e.Kind)
	}
	if e.Why != "" {
		s.text += ": " + e.Why
	}
	return s
}

// do tells the forge one step, unless it knows.
func (s *Sink) do(ctx context.Context, memory notify.Memory, r *record, next *step) error {
	e := next.event
	at := slices.IndexFunc(r.Places, func(p *place) bool { return p.Environment == e.Environment && p.Service == e.Service })
	if at < 0 {
		r.Places = append(r.Places, &place{Environment: e.Environment, Service: e.Service})
		at = len(r.Places) - 1
	}
	p := r.Places[at]
	if p.Key == notify.Key(e.Key) || e.Time.Before(p.At) {
		return nil
	}
	name := e.Environment + "/" + e.Service
	text, link := notify.Text(e.Service+" "+next.text, maxDescription), s.opts.Link(e)
	if next.before == p.Revision && p.State == Failure {
		next.before = "" // that it failed says more than that it runs no longer
	}
	for _, d := range []struct{ sha, state, text string }{
		{next.before, Inactive, notify.Text(e.Service+" runs no longer after a rollback", maxDescription)},
		{e.Revision, next.deployment, text},
	} {
		if d.sha == "" || d.state == "" {
			continue
		}
		if err := s.opts.Forge.SetDeployment(ctx, d.sha, name, d.state, d.text, link); err != nil && !errors.Is(err, errors.ErrUnsupported) {
			return err
		}
	}
	if next.status != "" {
		if err := s.opts.Forge.SetStatus(ctx, e.Revision, "sengu/"+name, next.status, text, link); err != nil {
			return err
		}
	}
	state := next.deployment
	if state == "" {
		state = next.status
	}
	*p = place{Environment: e.Environment, Service: e.Service, Revision: e.Revision, State: state, At: e.Time, Key: notify.Key(e.Key)}
	return remember(ctx, memory, next.record, r)
}

func remember(ctx context.Context, memory notify.Memory, key string, r *record) error {
	if extra := len(r.Places) - maxPlaces; extra > 0 {
		r.Places = r.Places[extra:]
	}
	value, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode what the forge was told: %w", err)
	}
	if err := memory.Remember(ctx, key, value); err != nil {
		return fmt.Errorf("remember what the forge was told: %w", err)
	}
	return nil
}

// Test says that there is nothing to try: a forge shows deployments of commits that it has.
func (s *Sink) Test(context.Context) error {
	return errors.New("deployments cannot be tried without a commit: look at the forge after the next Release")
}
