package deployment_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/notify"
	"github.com/sengu-dev/sengu/internal/notify/deployment"
)

const (
	next = "1111111111111111111111111111111111111111"
	last = "2222222222222222222222222222222222222222"
)

var start = time.Date(2030, time.April, 1, 9, 0, 0, 0, time.UTC)

// board is a forge that writes down what it is told.
type board struct {
	told    []string
	refuse  func(sha, name string) error
	plain   bool // it knows no deployments
	tooLong bool
}

func (b *board) SetDeployment(_ context.Context, sha, environment, state, text, url string) error {
	if b.plain {
		return errors.ErrUnsupported
	}
	return b.note("deployment", sha, environment, state, text, url)
}

func (b *board) SetStatus(_ context.Context, sha, name, state, text, url string) error {
	return b.note("status", sha, name, state, text, url)
}

func (b *board) note(what, sha, name, state, text, url string) error {
	if b.refuse != nil {
		if err := b.refuse(sha, name); err != nil {
			return err
		}
	}
	b.tooLong = b.tooLong || utf8.RuneCountInString(text) > 140
	b.told = append(b.told, strings.Join([]string{what, sha[:1], name, state, text, url}, "|"))
	return nil
}

// notebook is a notify.Memory.
type notebook map[string][]byte

func (n notebook) Remember(_ context.Context, key string, value []byte) error {
	n[key] = slices.Clone(value)
	return nil
}
func (n notebook) Recall(_ context.Context, key string) ([]byte, error) { return n[key], nil }

func happening(minute int, kind history.Kind, environment string) history.Event {
	return history.Event{
		Key: string(kind) + "/" + environment, Time: start.Add(time.Duration(minute) * time.Minute), Kind: kind, Fleet: "shop",
		Service: "checkout", Environment: environment, Release: "checkout-1", Revision: next, By: "sengu",
	}
}

func newSink(t *testing.T, b *board) *deployment.Sink {
	t.Helper()
	s, err := deployment.New(deployment.Options{Forge: b, Link: func(e history.Event) string { return "https://sengu.example.com/" + e.Release }})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func tell(t *testing.T, s *deployment.Sink, m notebook, events ...history.Event) (int, error) {
	t.Helper()
	var notices []notify.Notice
	for _, e := range events {
		notices = append(notices, notify.Notice{Event: e})
	}
	return s.Tell(t.Context(), m, notices)
}

func TestStates(t *testing.T) {
	page := "|https://sengu.example.com/checkout-1"
	back := happening(2, history.RolledBack, "production")
	back.Revision, back.Previous = last, next
	waiting := happening(0, history.Waiting, "production")
	waiting.Why = "one approval of the group sre"
	approved := happening(1, history.Approved, "production")
	approved.By = "alice@example.com"
	tests := map[string]struct {
		events []history.Event
		want   []string
	}{
		"waiting": {[]history.Event{waiting}, []string{
			"deployment|1|production/checkout|queued|checkout waits: one approval of the group sre" + page,
			"status|1|sengu/production/checkout|pending|checkout waits: one approval of the group sre" + page,
		}},
		"approved": {[]history.Event{approved}, []string{
			"deployment|1|production/checkout|queued|checkout approved by alice@example.com" + page,
			"status|1|sengu/production/checkout|pending|checkout approved by alice@example.com" + page,
		}},
		"started": {[]history.Event{happening(0, history.Started, "production")}, []string{
			"deployment|1|production/checkout|in_progress|checkout is being deployed" + page,
			"status|1|sengu/production/checkout|pending|checkout is being deployed" + page,
		}},
		"done": {[]history.Event{happening(0, history.Done, "production")}, []string{
			"deployment|1|production/checkout|success|checkout is live" + page, "status|1|sengu/production/checkout|success|checkout is live" + page,
		}},
		"passed": {[]history.Event{happening(0, history.Passed, "production")}, []string{
			"status|1|sengu/production/checkout|success|checkout renders the same" + page,
		}},
		"only the last state counts": {[]history.Event{waiting, happening(1, history.Started, "production"), happening(2, history.Verifying, "production"), happening(3, history.Done, "production")}, []string{
			"deployment|1|production/checkout|success|checkout is live" + page, "status|1|sengu/production/checkout|success|checkout is live" + page,
		}},
		"failed and rolled back": {[]history.Event{happening(1, history.Failed, "production"), back}, []string{
			"deployment|1|production/checkout|failure|checkout failed" + page, "status|1|sengu/production/checkout|failure|checkout failed" + page,
			"deployment|2|production/checkout|success|checkout is live again after a rollback" + page,
		}},
		"rolled back by a person": {[]history.Event{happening(1, history.Done, "production"), back}, []string{
			"deployment|1|production/checkout|success|checkout is live" + page, "status|1|sengu/production/checkout|success|checkout is live" + page,
			"deployment|1|production/checkout|inactive|checkout runs no longer after a rollback" + page,
			"deployment|2|production/checkout|success|checkout is live again after a rollback" + page,
		}},
		"superseded": {[]history.Event{happening(0, history.Done, "develop"), waiting, happening(2, history.Superseded, "")}, []string{
			"deployment|1|develop/checkout|success|checkout is live" + page, "status|1|sengu/develop/checkout|success|checkout is live" + page,
			"deployment|1|production/checkout|inactive|checkout superseded" + page, "status|1|sengu/production/checkout|error|checkout superseded" + page,
		}},
		"nothing to say": {[]history.Event{happening(0, history.Created, ""), happening(1, history.JobFinished, "production"), happening(2, history.Held, "production"), happening(3, history.Done, "")}, nil},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			together, apart := &board{}, &board{}
			told, err := tell(t, newSink(t, together), notebook{}, tc.events...)
			if err != nil || told != len(tc.events) {
				t.Fatal(told, err)
			}
			if diff := cmp.Diff(tc.want, together.told); diff != "" {
				t.Error(diff)
			}
			// One after the other, and each twice, it ends the same.
			s, m := newSink(t, apart), notebook{}
			for _, e := range tc.events {
				for range 2 {
					if _, err := tell(t, s, m, e); err != nil {
						t.Fatal(err)
					}
				}
			}
			if len(tc.want) > 0 && apart.told[len(apart.told)-1] != tc.want[len(tc.want)-1] {
				t.Errorf("apart it ends with %s", apart.told[len(apart.told)-1])
			}
			if len(slices.Compact(slices.Clone(apart.told))) != len(apart.told) {
				t.Errorf("told twice: %v", apart.told)
			}
		})
	}
}

func TestAnOlderEventUndoesNothing(t *testing.T) {
	b, m := &board{}, notebook{}
	s := newSink(t, b)
	for _, e := range []history.Event{happening(5, history.Done, "production"), happening(4, history.Started, "production")} {
		if _, err := tell(t, s, m, e); err != nil {
			t.Fatal(err)
		}
	}
	if len(b.told) != 2 || !strings.Contains(b.told[1], "success") {
		t.Errorf("told %v", b.told)
	}
}

func TestTheFailureIsAboutTheRightEvent(t *testing.T) {
	b, m := &board{}, notebook{}
	b.refuse = func(_, name string) error {
		if strings.Contains(name, "staging") {
			return notify.Refused("there is no such commit")
		}
		return nil
	}
	events := []history.Event{happening(0, history.Created, ""), happening(1, history.Done, "develop"), happening(2, history.Done, "staging"), happening(3, history.Done, "production")}
	told, err := tell(t, newSink(t, b), m, events...)
	if told != 2 || err == nil {
		t.Errorf("told %d, %v; want the two before it", told, err)
	}
	told, err = tell(t, newSink(t, b), m, events[3:]...)
	if told != 1 || err != nil || len(b.told) != 4 {
		t.Errorf("told %d, %v: %v", told, err, b.told)
	}
}

func TestAForgeWithoutDeployments(t *testing.T) {
	b := &board{plain: true}
	if _, err := tell(t, newSink(t, b), notebook{}, happening(0, history.Done, "production")); err != nil || len(b.told) != 1 {
		t.Errorf("%v, told %v", err, b.told)
	}
}

func TestStrangeEvents(t *testing.T) {
	b := &board{}
	for _, revision := range []string{"", "main", "abc", strings.Repeat("g", 40), "../../x"} {
		e := happening(0, history.Done, "production")
		e.Revision = revision
		if told, err := tell(t, newSink(t, b), notebook{}, e); told != 1 || err != nil {
			t.Errorf("%q: %d, %v", revision, told, err)
		}
	}
	if len(b.told) > 0 {
		t.Errorf("told %v", b.told)
	}
	e := happening(0, history.Failed, "production")
	e.Why = strings.Repeat("<!channel>\n", 500)
	if _, err := tell(t, newSink(t, b), notebook{}, e); err != nil || b.tooLong || strings.Contains(b.told[0], "\n") {
		t.Errorf("%v, told %v", err, b.told)
	}
	if _, err := deployment.New(deployment.Options{}); err == nil {
		t.Error("a sink without a forge was made")
	}
	if err := notify.Test(t.Context(), newSink(t, b), start); err == nil {
		t.Error("a test that tests nothing passes")
	}
}

func TestManyServicesCostTheirLastState(t *testing.T) {
	b, m := &board{}, notebook{}
	var events []history.Event
	for _, kind := range []history.Kind{history.Started, history.Verifying, history.Done} {
		for i := range 20 {
			e := happening(len(events), kind, "production")
			e.Service = strings.Repeat("x", i+1)
			e.Release = e.Service + "-1"
			e.Key = e.Release + string(kind)
			events = append(events, e)
		}
	}
	if told, err := tell(t, newSink(t, b), m, events...); told != 60 || err != nil || len(b.told) != 40 {
		t.Errorf("told %d, %v, by %d calls", told, err, len(b.told))
	}
}
