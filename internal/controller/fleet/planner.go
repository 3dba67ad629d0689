package fleet

import (
	"context"
	"fmt"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"
)

// planners is how many services are looked at at once: enough that some that are slow to render hold up no other. The
// renderer bounds what really runs.
const planners = 64

// createTimeout is how long the API server may take to make a Release.
const createTimeout = 10 * time.Second

// planner looks at services one by one, beside the Reconciles of their Fleets: a service that is slow to render holds up
// neither its Fleet nor another service.
type planner struct {
	slots chan struct{}
	group sync.WaitGroup

	mu    sync.Mutex
	tasks map[task]*attempt
}

type task struct {
	fleet   types.NamespacedName
	service string
}

type attempt struct {
	question question
	cancel   context.CancelFunc
	// ended is closed when the look has returned.
	ended chan struct{}
}

// question is what a look finds out.
type question struct {
	revision string
	// generation of the Fleet.
	generation int64
}

func newPlanner() *planner {
	return &planner{slots: make(chan struct{}, planners), tasks: map[task]*attempt{}}
}

// pending says how many services of a Fleet are being looked at.
func (p *planner) pending(fleet types.NamespacedName) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	n := 0
	for t := range p.tasks {
		if t.fleet == fleet {
			n++
		}
	}
	return n
}

// start runs f, which looks at a service. A look that is after something else is given up, and so is one that is after
// the same if it has to be anew; else that goes on. Done is called at the end, when pending has counted it.
func (p *planner) start(ctx context.Context, t task, q question, anew bool, f func(context.Context) error, done func(error)) {
	ctx, cancel := context.WithCancel(ctx)
	is := &attempt{question: q, cancel: cancel, ended: make(chan struct{})}
	p.mu.Lock()
	before := p.tasks[t]
	if before != nil {
		if before.question == q && !anew {
			p.mu.Unlock()
			cancel()
			return // else one that takes longer than two polls lie apart would never end
		}
		before.cancel()
	}
	p.tasks[t] = is
	p.mu.Unlock()
	p.group.Go(func() {
		defer close(is.ended)
		defer cancel()
		if before != nil {
			<-before.ended // what it has found, or made, is known then
		}
		err := p.run(ctx, f)
		p.mu.Lock()
		current := p.tasks[t] == is
		if current {
			delete(p.tasks, t)
		}
		p.mu.Unlock()
		if current {
			done(err)
		}
	})
}

func (p *planner) run(ctx context.Context, f func(context.Context) error) error {
	select {
	case p.slots <- struct{}{}:
		defer func() { <-p.slots }()
		return f(ctx)
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close waits until nothing is looked at any more. What starts looks has to have ended, and their context too.
func (p *planner) close() { p.group.Wait() }

// plan looks at a service, and makes its Release if the revision changes it.
func (s *survey) plan(ctx context.Context, service string) error {
	chain := s.newChain(service)
	environments, news, err := s.service(ctx, chain)
	if err != nil {
		return err
	}
	if !news {
		return chain.adopt(ctx)
	}
	release := s.release(service, environments, stepsOf(chain.steps))
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// A look that is given up from here on has to know whether it has made the Release: the next one goes on from there.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), createTimeout)
	defer cancel()
	if err := s.Records.Create(ctx, release); err != nil && !apierrors.IsAlreadyExists(err) {
		return fmt.Errorf("create Release %s: %w", release.Name, err)
	}
	s.st.roster.steer(service, courseOf(release))
	return nil
}
