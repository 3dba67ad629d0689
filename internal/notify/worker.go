package notify

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"slices"
	"time"

	"github.com/sengu-dev/sengu/internal/history"
)

const (
	// batch is how many events are read, and may be told, at once.
	batch = 64
	// lastWord is how long a worker that is stopped may take to acknowledge what it has just told.
	lastWord = 5 * time.Second
)

// worker tells one sink its events, one after the other.
type worker struct {
	sub    Subscription
	opts   Options
	log    *slog.Logger
	memory Memory
	wake   chan struct{}
	done   chan struct{}
	cancel context.CancelFunc

	registered bool
	troubles   int // how often in a row the store has failed
	// suspect is an event that has failed too often. Whether the event is to blame or the sink is known when the sink has
	// taken another one and then been given this one again.
	suspect *item
	// busy counts, by the key of an event, the answers that blame it for nothing. The store counts them as attempts, and
	// a process that starts anew does not know them apart any more.
	busy map[string]int
	// old is how many events were dropped for their age since the log said so.
	old int
}

// item is a pending event and what the route says of it.
type item struct {
	history.Delivery
	verdict Verdict
	old     bool // it happened before the time of the sink began
}

// rest says how long a worker waits, and whether a wake-up ends it.
type rest struct {
	span     time.Duration
	wakeable bool
}

func (w *worker) run(ctx context.Context) {
	defer close(w.done)
	defer w.cancel()
	if c, ok := w.sub.Sink.(interface{ CloseIdleConnections() }); ok {
		defer c.CloseIdleConnections()
	}
	defer w.sayOld()
	for ctx.Err() == nil {
		w.wait(ctx, w.round(ctx))
	}
}

func (w *worker) wait(ctx context.Context, r rest) {
	if r.span <= 0 {
		return
	}
	timer := w.opts.Clock.NewTimer(r.span)
	defer timer.Stop()
	wake := w.wake
	if !r.wakeable {
		wake = nil
	}
	select {
	case <-ctx.Done():
	case <-timer.C():
	case <-wake:
	}
}

// round tells what is pending now, as far as one batch goes.
func (w *worker) round(ctx context.Context) rest {
	if !w.registered {
		if err := w.opts.Store.Register(ctx, w.sub.Name); err != nil {
			return w.trouble(ctx, "register the sink", err)
		}
		w.registered = true
	}
	pending, err := w.opts.Store.Pending(ctx, w.sub.Name, batch)
	if err != nil {
		return w.trouble(ctx, "read the pending events", err)
	}
	items := w.judge(pending)
	if !slices.ContainsFunc(items, func(i item) bool { return i.old }) {
		w.sayOld()
	}
	if len(items) == 0 {
		w.troubles = 0
		return rest{w.opts.Idle, true}
	}
	for len(items) > 0 {
		left, r := w.tell(ctx, items)
		if r.span > 0 || ctx.Err() != nil {
			return r
		}
		items = left
	}
	return rest{}
}

// sayOld logs how many events were dropped for their age: once for all of them, since a record that was lost brings back
// thousands.
func (w *worker) sayOld() {
	if w.old > 0 {
		w.log.Warn("events were not told, because they happened before the sink was known", "count", w.old, "since", w.sub.Since)
	}
	w.old = 0
}

// judge asks the filter once about each event.
func (w *worker) judge(pending []history.Delivery) []item {
	_, follows := w.sub.Sink.(Follower)
	items := make([]item, 0, len(pending))
	for _, d := range pending {
		verdict, old := Tell, d.Event.Time.Before(w.sub.Since)
		switch {
		case old:
			verdict = Drop
		case w.sub.Filter != nil:
			var err error
			if verdict, err = w.sub.Filter.Of(d.Event); err != nil {
				w.log.Warn("event told although its filter failed", "event", d.Event.Key, "error", err)
			}
		}
		if verdict == Quiet && !follows {
			verdict = Drop
		}
		items = append(items, item{d, verdict, old})
	}
	return items
}

// tell brings the first items to an end, as many as go together, and returns the others.
func (w *worker) tell(ctx context.Context, items []item) ([]item, rest) {
	n := 1
	for n < len(items) && (items[n].verdict == Drop) == (items[0].verdict == Drop) {
		n++
	}
	if items[0].verdict == Drop {
		return w.acknowledge(ctx, items, n)
	}
	told, err := w.call(ctx, items[:n])
	if told = min(max(told, 0), n); told > 0 {
		var r rest
		if items, r = w.acknowledge(ctx, items, told); r.span > 0 {
			return nil, r
		}
		if r = w.convict(ctx, items); r.span > 0 {
			return nil, r
		}
	}
	if err == nil || told == n || ctx.Err() != nil {
		return items, rest{}
	}
	return w.fail(ctx, items, err)
}

// call gives items to the sink, and has an error if it tells none. A sink that panics on an event must not end what
// delivers.
func (w *worker) call(ctx context.Context, items []item) (told int, err error) {
	notices := make([]Notice, 0, len(items))
	for _, i := range items {
		notices = append(notices, Notice{Event: bounded(i.Event), Quiet: i.verdict == Quiet})
	}
	ctx, cancel := context.WithTimeout(ctx, w.opts.Timeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			// What was panicked with is left out, since it may hold anything.
			w.log.Error("sink panicked", "event", notices[0].Key, "stack", string(debug.Stack()))
			told, err = 0, Refused("the sink broke down on this event, which is a mistake in Sengu: report it with the log")
		}
	}()
	if told, err = w.sub.Sink.Tell(ctx, w.memory, notices); err == nil && told <= 0 {
		err = Refused("the sink told nothing and did not say why")
	}
	return told, err
}

// acknowledge also ends what was told while the worker was being stopped, so that an ordinary restart tells nothing
// twice.
func (w *worker) acknowledge(ctx context.Context, items []item, n int) ([]item, rest) {
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWord)
	defer cancel()
	for _, i := range items[:n] {
		if err := w.opts.Store.Acknowledge(last, w.sub.Name, i.Event.Key); err != nil {
			return nil, w.trouble(ctx, "acknowledge an event", err)
		}
		if w.suspect != nil && w.suspect.Event.Key == i.Event.Key {
			w.suspect = nil
		}
		delete(w.busy, i.Event.Key)
		if i.old {
			w.old++
		}
	}
	w.troubles = 0
	return items[n:], rest{}
}

// fail decides what a failure means for the first item and for those behind it.
func (w *worker) fail(ctx context.Context, items []item, err error) ([]item, rest) {
	i := items[0]
	i.Attempt++
	var refused *RefusedError
	if errors.As(err, &refused) {
		return w.setAside(ctx, items, i, refused.Reason)
	}
	var busy *BusyError
	if errors.As(err, &busy) {
		return nil, w.leaveAlone(ctx, i, busy)
	}
	other := w.suspect != nil && w.suspect.Event.Key != i.Event.Key // the second event that fails
	// The last attempt is made when another event has been taken.
	tooOften := i.Attempt-w.busy[i.Event.Key] >= max(w.opts.Attempts-1, 1)
	wait := pause(i.Attempt)
	if other || tooOften {
		wait = longestPause
	}
	if r := w.postpone(ctx, i, wait, err.Error()); r.span > 0 {
		return nil, r
	}
	log := w.log.Warn
	if tooOften {
		log = w.log.Error
	}
	log("notification failed and is tried again", about(i, "wait", wait.String(), "reason", err.Error())...)
	if !tooOften || other {
		// The others wait as well: the order is kept, and two events that fail are the fault of the sink.
		w.suspect = nil
		return nil, rest{wait, false}
	}
	w.suspect = &i
	if len(items) > 1 {
		return items[1:], rest{}
	}
	return nil, rest{wait, true}
}

// leaveAlone lets a sink rest that asked for it, which blames no event.
func (w *worker) leaveAlone(ctx context.Context, i item, busy *BusyError) rest {
	if w.busy == nil {
		w.busy = map[string]int{}
	}
	w.busy[i.Event.Key]++
	w.suspect = nil
	wait := max(pause(i.Attempt), min(busy.After, longestBusy))
	until := wait
	if i.Attempt >= w.opts.Attempts {
		until += longestPause // others may go first, in case that it is busy with this event only
	}
	if r := w.postpone(ctx, i, until, busy.Error()); r.span > 0 {
		return r
	}
	w.log.Warn("notification failed and is tried again", about(i, "wait", wait.String(), "reason", busy.Error())...)
	return rest{wait, false}
}

// convict tells the suspect once more, because the sink has taken another event: it may have been down whenever the
// suspect was told, and have come back since. It sets the suspect aside if that fails too. A suspect that is among the
// items to be told next has its turn there.
func (w *worker) convict(ctx context.Context, next []item) rest {
	if w.suspect == nil || ctx.Err() != nil {
		return rest{}
	}
	i := *w.suspect
	if slices.ContainsFunc(next, func(n item) bool { return n.Event.Key == i.Event.Key }) {
		return rest{}
	}
	w.suspect = nil
	told, err := w.call(ctx, []item{i})
	if told > 0 {
		_, r := w.acknowledge(ctx, []item{i}, 1)
		return r
	}
	if ctx.Err() != nil {
		return rest{}
	}
	i.Attempt++
	var busy *BusyError
	if errors.As(err, &busy) {
		return w.leaveAlone(ctx, i, busy)
	}
	_, r := w.setAside(ctx, []item{i}, i, err.Error())
	return r
}

// setAside gives an event up, the first of the items: it stays in the record, and this sink tells nobody. To put it off
// would keep what follows in its Release from ever being told.
func (w *worker) setAside(ctx context.Context, items []item, i item, reason string) ([]item, rest) {
	w.log.Error("notification set aside: the sink does not take this event, and tells nobody of it", about(i, "reason", reason)...)
	return w.acknowledge(ctx, items, 1)
}

func (w *worker) postpone(ctx context.Context, i item, wait time.Duration, reason string) rest {
	until := w.opts.Clock.Now().Add(wait)
	if err := w.opts.Store.Postpone(ctx, w.sub.Name, i.Event.Key, until, Text(reason, maxSentence)); err != nil {
		return w.trouble(ctx, "postpone an event", err)
	}
	return rest{}
}

// trouble says how long to leave the store alone.
func (w *worker) trouble(ctx context.Context, what string, err error) rest {
	if ctx.Err() != nil {
		return rest{}
	}
	w.troubles++
	// It may be another store that answers next, or one that was told to forget the sink.
	w.registered = false
	wait := pause(w.troubles)
	w.log.Error("notifications wait for the store", "error", fmt.Errorf("%s: %w", what, err), "wait", wait.String())
	return rest{wait, false}
}

func about(i item, more ...any) []any {
	e := i.Event
	return append([]any{
		"event", e.Key, "kind", e.Kind, "fleet", e.Fleet, "service", e.Service, "environment", e.Environment,
		"release", e.Release, "attempt", i.Attempt,
	}, more...)
}
