package slack_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// TestARequestFromAboutTheRestart may have been seen before by the process before, if Slack's clock is ahead of ours.
func TestARequestFromAboutTheRestart(t *testing.T) {
	o := newOffice(t, false)
	began := o.clock.Now()
	o.run()
	for after, want := range map[time.Duration]int{
		0: http.StatusServiceUnavailable, 2 * time.Second: http.StatusServiceUnavailable, 3 * time.Second: http.StatusOK, 4 * time.Second: http.StatusOK,
	} {
		w := httptest.NewRecorder()
		o.handler.ServeHTTP(w, o.sign(pressed(alice, "sengu.approve:production", value, o.server.Hooks()+"secret"), began.Add(after)))
		if says := strings.Contains(w.Body.String(), "press again"); w.Code != want || says != (want != http.StatusOK) {
			t.Errorf("what was sent %s after the start is answered %d: %s", after, w.Code, w.Body)
		}
	}
}

// TestRubbishIsNotLookedInto: who sends what Slack would not makes Sengu read nothing.
func TestRubbishIsNotLookedInto(t *testing.T) {
	for _, body := range []string{"", "rubbish", "%zz", "payload=", "payload=%7B", "payload=null", "payload=7", "payload=%5B%5D", "x=%7B%7D", "{}"} {
		o := newOffice(t, true)
		o.look = func() { t.Errorf("%q: the desks are looked for", body) }
		if code := o.send(o.sign(body, o.clock.Now())); code != http.StatusUnauthorized {
			t.Errorf("%q is answered %d", body, code)
		}
	}
	// A payload that is not known here is Slack's all the same.
	o := newOffice(t, true)
	if code := o.send(o.sign(form(map[string]any{"type": 7}), o.clock.Now())); code != http.StatusOK {
		t.Errorf("an odd payload is answered %d", code)
	}
}

// TestManyAtOnce lets only so many look for desks, whatever they sign with.
func TestManyAtOnce(t *testing.T) {
	o := newOffice(t, true)
	const most = 16
	looking, release := make(chan struct{}, most+1), make(chan struct{})
	o.look = func() { looking <- struct{}{}; <-release }
	var wg sync.WaitGroup
	codes := make(chan int, most)
	for i := range most {
		wg.Go(func() {
			codes <- o.send(signBy("rubbish", form(map[string]any{"type": "block_actions", "n": i}), o.clock.Now()))
		})
	}
	for range most {
		<-looking
	}
	if code := o.send(signBy("rubbish", form(map[string]any{"type": "block_actions"}), o.clock.Now())); code != http.StatusServiceUnavailable {
		t.Errorf("one too many is answered %d", code)
	}
	close(release)
	wg.Wait()
	for range most {
		if code := <-codes; code != http.StatusUnauthorized {
			t.Errorf("one of them is answered %d", code)
		}
	}
	if code := o.send(o.sign(form(map[string]any{"type": "view_closed"}), o.clock.Now())); code != http.StatusOK {
		t.Errorf("afterwards it answers %d", code)
	}
}
