package notify_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/sengu-dev/sengu/internal/history"
)

var errCrashed = errors.New("the process is dead")

// memoryStore is a notify.Store that outlives the process which uses it. A process that crashes gets no answer from then
// on and changes nothing; what was done before stays done.
type memoryStore struct {
	now func() time.Time

	mu     sync.Mutex
	events []history.Event
	sinks  map[string]*sinkState
	calls  map[string]int
	// crash names the method before which the process dies; died is called then.
	crash string
	died  func()
	dead  bool
	// broken makes the next calls of a method fail.
	broken map[string]int
}

type sinkState struct {
	from     int // index of the first event
	done     map[string]bool
	until    map[string]time.Time
	attempts map[string]int
	reasons  map[string]string
	values   map[string][]byte
}

func newMemoryStore(now func() time.Time) *memoryStore {
	return &memoryStore{now: now, sinks: map[string]*sinkState{}, calls: map[string]int{}, broken: map[string]int{}}
}

// enter begins a call: it is refused as a whole or done as a whole.
func (s *memoryStore) enter(ctx context.Context, method string) error {
	s.calls[method]++
	switch {
	case s.dead:
		return errCrashed
	case s.crash == method:
		s.dead = true
		if s.died != nil {
			s.died()
		}
		return errCrashed
	case s.broken[method] > 0:
		s.broken[method]--
		return errors.New("the store is away")
	}
	return ctx.Err()
}

// crashBefore makes the process die before its next call of a method.
func (s *memoryStore) crashBefore(method string, died func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.crash, s.died = method, died
}

// reopen is the store as the next process finds it.
func (s *memoryStore) reopen() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.crash, s.died, s.dead = "", nil, false
}

func (s *memoryStore) breakNext(method string, n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.broken[method] = n
}

// forget is what a store does that is told to forget a sink, and a new store in the place of one that was lost.
func (s *memoryStore) forget(sink string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.sinks, sink)
}

// record appends events, each once.
func (s *memoryStore) record(events ...history.Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, e := range events {
		if !slices.ContainsFunc(s.events, func(old history.Event) bool { return old.Key == e.Key }) {
			s.events = append(s.events, e)
		}
	}
}

func (s *memoryStore) Register(ctx context.Context, sink string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.enter(ctx, "register"); err != nil {
		return err
	}
	if s.sinks[sink] == nil {
		s.sinks[sink] = &sinkState{
			from: len(s.events), done: map[string]bool{}, until: map[string]time.Time{}, attempts: map[string]int{},
			reasons: map[string]string{}, values: map[string][]byte{},
		}
	}
	return nil
}

// Pending leaves out what follows a postponed event in the same Release.
func (s *memoryStore) Pending(ctx context.Context, sink string, limit int) ([]history.Delivery, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.enter(ctx, "pending"); err != nil {
		return nil, err
	}
	state, now := s.sinks[sink], s.now()
	if state == nil {
		return nil, errors.New("the sink is not registered")
	}
	var out []history.Delivery
	behind := map[string]bool{}
	for _, e := range s.events[state.from:] {
		switch {
		case state.done[e.Key]:
		case state.until[e.Key].After(now):
			behind[e.Release] = e.Release != ""
		case len(out) < limit && !behind[e.Release]:
			out = append(out, history.Delivery{Event: e, Attempt: state.attempts[e.Key], Reason: state.reasons[e.Key]})
		}
	}
	return out, nil
}

func (s *memoryStore) Acknowledge(ctx context.Context, sink, key string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.enter(ctx, "acknowledge"); err != nil {
		return err
	}
	s.sinks[sink].done[key] = true
	return nil
}

func (s *memoryStore) Postpone(ctx context.Context, sink, key string, until time.Time, reason string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.enter(ctx, "postpone"); err != nil {
		return err
	}
	state := s.sinks[sink]
	state.until[key], state.reasons[key] = until, reason
	state.attempts[key]++
	return nil
}

func (s *memoryStore) Remember(ctx context.Context, sink, key string, value []byte) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.enter(ctx, "remember"); err != nil {
		return err
	}
	if len(key) > 512 || len(value) > 64<<10 {
		return errors.New("the key or the value is too large")
	}
	s.sinks[sink].values[key] = slices.Clone(value)
	return nil
}

func (s *memoryStore) Recall(ctx context.Context, sink, key string) ([]byte, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.enter(ctx, "recall"); err != nil {
		return nil, false, err
	}
	value, found := s.sinks[sink].values[key]
	return slices.Clone(value), found, nil
}

// unfinished are the events that a sink has still to be told.
func (s *memoryStore) unfinished(sink string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	state := s.sinks[sink]
	if state == nil {
		return []string{"the sink is not registered"}
	}
	var out []string
	for _, e := range s.events[state.from:] {
		if !state.done[e.Key] {
			out = append(out, e.Key)
		}
	}
	return out
}

func (s *memoryStore) called(method string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[method]
}
