package notify_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/notify"
)

const sinkName = "shop/sink"

// stage is one test of the suite: a world, a place and the life of a process after the other.
type stage struct {
	*world
	place place
}

// live starts a process that has a new sink.
func (s *stage) live(opts notify.Options) *process {
	s.t.Helper()
	opts.Sinks = []notify.Subscription{{Name: sinkName, Sink: s.place.sink(s.t, s.world)}}
	return s.start(opts)
}

func (s *stage) expect(want []string) {
	s.t.Helper()
	if err := same(s.place.told(), want); err != nil {
		s.t.Error(err)
	}
}

// TestConformance is what every sink has to pass.
func TestConformance(t *testing.T) {
	for name, open := range map[string]func(*testing.T, *world) place{"webhook": newHook, "slack": newChat, "deployment": newBoard} {
		for what, test := range map[string]func(s *stage){
			"order": inOrder, "crash after each step": crashes, "restart while it tells": restart, "busy": isBusy, "broken": isBroken,
			"no answer": noAnswer, "lost answers": lostAnswers, "hostile text": hostileText, "oversize": oversize, "filter": filtered,
		} {
			t.Run(name+"/"+what, func(t *testing.T) {
				w := newWorld(t)
				s := &stage{w, open(t, w)}
				test(s)
				if wrong := s.place.wrong(); len(wrong) > 0 {
					t.Errorf("the place complains: %v", wrong)
				}
				if log := w.journal.String(); strings.Contains(log, planted) {
					t.Errorf("a secret is in the log:\n%s", log)
				}
				for key, reason := range w.store.sinks[sinkName].reasons {
					if strings.Contains(reason, planted) || strings.Contains(reason, "\n") {
						t.Errorf("the reason for %s is no sentence without secrets: %s", key, reason)
					}
				}
			})
		}
	}
}

func inOrder(s *stage) {
	p := s.live(notify.Options{})
	list := events(30)
	for i := range 3 {
		s.store.record(list[i*10 : i*10+10]...)
		p.dispatcher.Wake()
	}
	s.eventually(s.finished(sinkName))
	s.expect(keys(list))
}

// crashes lets the process die before each call of the store that matters, again and again.
func crashes(s *stage) {
	list := events(12)
	s.live(notify.Options{}).stop()
	for i, method := range []string{"acknowledge", "remember", "acknowledge", "recall", "remember", "postpone", "acknowledge", "pending"} {
		s.store.record(list[i])
		died := make(chan struct{})
		s.store.crashBefore(method, func() { close(died) })
		p := s.live(notify.Options{})
		s.drive(func() error {
			select {
			case <-died:
				return nil
			default:
			}
			// Not every sink makes every call.
			return s.finished(sinkName)()
		})
		p.stop()
		s.store.reopen()
	}
	s.store.record(list...)
	s.live(notify.Options{})
	s.drive(s.finished(sinkName))
	s.expect(keys(list))
}

func restart(s *stage) {
	list := events(40)
	s.live(notify.Options{}).stop()
	s.store.record(list...)
	for range 5 {
		p := s.live(notify.Options{})
		s.eventually(func() error {
			if len(s.place.calls()) == 0 {
				return errors.New("nothing was told yet")
			}
			return nil
		})
		p.stop()
	}
	s.live(notify.Options{})
	s.drive(s.finished(sinkName))
	s.expect(keys(list))
}

func isBusy(s *stage) {
	list := events(5)
	s.place.fail(busy)
	p := s.live(notify.Options{})
	s.store.record(list...)
	p.dispatcher.Wake()
	s.drive(s.finished(sinkName))
	s.expect(keys(list))
	calls := s.place.calls()
	if wait := calls[1].Sub(calls[0]); wait < retryAfter || wait > 2*retryAfter {
		s.t.Errorf("it was left alone for %s, and asked for %s", wait, retryAfter)
	}
}

func isBroken(s *stage) {
	list := events(5)
	p := s.live(notify.Options{})
	s.place.fail(broken, broken, broken)
	s.store.record(list...)
	p.dispatcher.Wake()
	s.drive(s.finished(sinkName))
	s.expect(keys(list))
}

func noAnswer(s *stage) {
	list := events(5)
	s.place.fail(hangs)
	p := s.live(notify.Options{Timeout: time.Second})
	s.store.record(list...)
	p.dispatcher.Wake()
	s.drive(s.finished(sinkName))
	s.expect(keys(list))
}

func lostAnswers(s *stage) {
	list := events(6)
	p := s.live(notify.Options{})
	s.place.fail(lost, lost)
	s.store.record(list[:3]...)
	p.dispatcher.Wake()
	s.drive(s.finished(sinkName))
	s.place.fail(lost, lost)
	s.store.record(list[3:]...)
	p.dispatcher.Wake()
	s.drive(s.finished(sinkName))
	s.expect(keys(list))
}

func hostileText(s *stage) {
	list := events(8)
	for i, text := range []string{
		"<!channel> @here <@U0123456789>", "\"}],\"text\":\"x\"", "a\r\nX-Evil: 1", "\x00\xff\u202e", "{{.}} ${x} $(x) `x`", "</script><b>&lt;", "", "日本語 *x* _y_",
	} {
		e := &list[i]
		e.Title, e.Author, e.By, e.Why, e.Kind = text, text, text, text, history.Failed
		e.Images = []history.Image{{Name: text, Tag: text, Digest: text}}
	}
	p := s.live(notify.Options{})
	s.store.record(list...)
	p.dispatcher.Wake()
	s.drive(s.finished(sinkName))
	s.expect(keys(list))
}

func oversize(s *stage) {
	list := events(3)
	for i := range list {
		e := &list[i]
		long := strings.Repeat("<&*日", 300_000)
		e.Title, e.Author, e.By, e.Why, e.Kind, e.Previous = long, long, long, long, history.Waiting, long
		for range 1000 {
			e.Images = append(e.Images, history.Image{Name: long[:5000], Tag: long[:5000], Digest: long[:5000]})
		}
	}
	p := s.live(notify.Options{})
	s.store.record(list...)
	p.dispatcher.Wake()
	s.drive(s.finished(sinkName))
	s.expect(keys(list))
}

func filtered(s *stage) {
	list := events(6)
	filters, err := notify.Compile([]notify.Route{{Name: "r", Sink: notify.WebhookSink, Environments: []string{"env-[13]"}}})
	if err != nil {
		s.t.Fatal(err)
	}
	p := s.start(notify.Options{Sinks: []notify.Subscription{{Name: sinkName, Filter: filters[0], Sink: s.place.sink(s.t, s.world)}}})
	for i := range list {
		s.store.record(list[i])
		p.dispatcher.Wake()
		s.drive(s.finished(sinkName))
	}
	s.expect([]string{list[1].Key, list[3].Key})
}
