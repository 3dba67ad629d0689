package slack_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/notify"
	"github.com/sengu-dev/sengu/internal/notify/slack"
	"github.com/sengu-dev/sengu/internal/notify/slack/slackserver"
)

// lost is a message that is posted although the answer never comes.
var lost = slackserver.Failure{Method: "chat.postMessage", Done: true}

func TestALostMessageIsFoundAgain(t *testing.T) {
	d := newDesk(t)
	d.server.Fail(lost)
	if err := d.try(happening(0, history.Created, "", "")); err == nil {
		t.Fatal("an answer that never came is no error")
	}
	// Somebody who is no app copies the mark, and others talk.
	d.server.Chat("look", `{"event_type":"sengu_notification","event_payload":{"message":"release/shop/checkout-1"}}`)
	for i := range 450 {
		d.server.Chat(fmt.Sprintf("chat %d", i), "")
	}
	d.now = d.now.Add(5 * time.Minute)
	d.tell(happening(0, history.Created, "", ""), happening(1, history.Started, "develop", ""))
	var ours []slackserver.Message
	for _, m := range d.server.Messages() {
		if m.Bot != "" {
			ours = append(ours, m)
		}
	}
	if len(ours) != 1 || !strings.Contains(ours[0].Blocks, "*develop*") || len(d.server.Replies(ours[0].TS)) != 1 {
		t.Errorf("got %d messages: %+v", len(ours), ours)
	}
}

func TestALostReplyIsFoundAgain(t *testing.T) {
	d := newDesk(t)
	d.tell(happening(0, history.Created, "", ""))
	d.server.Fail(slackserver.Failure{Method: "chat.update"}, slackserver.Failure{Method: "chat.postMessage", Done: true})
	events := []history.Event{happening(1, history.Started, "develop", ""), happening(2, history.Done, "develop", "")}
	for range 2 {
		if err := d.try(events...); err == nil {
			t.Fatal("an answer that never came is no error")
		}
	}
	d.tell(events...)
	m := d.only()
	if replies := d.server.Replies(m.TS); len(replies) != 2 {
		t.Errorf("got %d replies: %+v", len(replies), replies)
	}
}

// TestTheMemoryIsLostAfterThePost is a crash between a post and what is remembered of it.
func TestTheMemoryIsLostAfterThePost(t *testing.T) {
	d := newDesk(t)
	events := []history.Event{happening(0, history.Created, "", ""), happening(1, history.Started, "develop", ""), happening(2, history.Done, "develop", "")}
	crash := &stopping{notebook: d.memory}
	for after := range 8 {
		crash.left = after
		notices := []notify.Notice{}
		for _, e := range events {
			notices = append(notices, notify.Notice{Event: e})
		}
		if _, err := d.sink.Tell(t.Context(), crash, notices); err == nil && after < 2 {
			t.Fatal("nothing crashed")
		}
	}
	d.tell(events...)
	m := d.only()
	if replies := d.server.Replies(m.TS); len(replies) != 2 {
		t.Errorf("got %d replies: %+v", len(replies), replies)
	}
}

// stopping remembers a number of values and then no more.
type stopping struct {
	*notebook
	left int
}

func (s *stopping) Remember(ctx context.Context, key string, value []byte) error {
	if s.left == 0 {
		return errors.New("the process is dead")
	}
	s.left--
	return s.notebook.Remember(ctx, key, value)
}

func TestAMessageThatMayNotBeLookedFor(t *testing.T) {
	d := newDesk(t)
	d.server.Fail(lost, slackserver.Failure{Method: "conversations.history", Code: "missing_scope"})
	if err := d.try(happening(0, history.Created, "", "")); err == nil {
		t.Fatal("an answer that never came is no error")
	}
	d.tell(happening(0, history.Created, "", ""))
	if n := len(d.server.Messages()); n != 2 || !strings.Contains(d.log.String(), "channels:history") {
		t.Errorf("%d messages, and the log says:\n%s", n, d.log)
	}
}

// TestNothingIsLookedForWithoutNeed: after an answer that says no, nothing was posted.
func TestNothingIsLookedForWithoutNeed(t *testing.T) {
	for _, f := range []slackserver.Failure{{Code: "not_in_channel"}, {Status: 429, RetryAfter: 3}, {Code: "ratelimited"}} {
		d := newDesk(t)
		d.server.Fail(f)
		if err := d.try(happening(0, history.Created, "", "")); err == nil {
			t.Fatal("no error")
		}
		d.tell(happening(0, history.Created, "", ""))
		if calls := strings.Join(d.server.Calls(), " "); calls != "chat.postMessage chat.postMessage" {
			t.Errorf("%+v: %s", f, calls)
		}
	}
}

func TestADeletedMessageIsPostedAgain(t *testing.T) {
	d := newDesk(t)
	d.tell(happening(0, history.Created, "", ""))
	d.server.Delete(d.only().TS)
	d.tell(happening(1, history.Started, "develop", ""))
	if m := d.only(); len(d.server.Replies(m.TS)) != 1 {
		t.Error("the reply is not in the new thread")
	}
}

func TestAMessageThatMayNotBeUpdated(t *testing.T) {
	d := newDesk(t)
	d.tell(happening(0, history.Created, "", ""))
	d.server.Fail(slackserver.Failure{Method: "chat.update", Code: "edit_window_closed"})
	d.tell(happening(1, history.Started, "develop", ""))
	if m := d.only(); len(d.server.Replies(m.TS)) != 1 || !strings.Contains(d.log.String(), "cannot be updated") {
		t.Error("the thread does not go on, or nothing is said")
	}
}

func TestBlocksThatSlackDoesNotTake(t *testing.T) {
	d := newDesk(t)
	d.server.Fail(slackserver.Failure{Method: "chat.postMessage", Code: "invalid_blocks"})
	d.tell(happening(0, history.Created, "", ""))
	d.server.Fail(slackserver.Failure{Method: "chat.update", Code: "invalid_blocks"})
	d.tell(happening(1, history.Started, "develop", ""))
	if m := d.only(); m.Blocks != "[]" || !strings.Contains(m.Text, "Round the cart") || !strings.Contains(d.log.String(), "level=ERROR") {
		t.Errorf("got %+v", m)
	}
}

func TestErrors(t *testing.T) {
	tests := map[string]struct {
		failure slackserver.Failure
		want    string
		refused bool
		wait    time.Duration
	}{
		"rate limit":      {failure: slackserver.Failure{Status: 429, RetryAfter: 7}, want: "Slack asks for fewer messages", wait: 7 * time.Second},
		"rate limit, bad": {failure: slackserver.Failure{Status: 429}, want: "Slack asks for fewer messages", wait: 30 * time.Second},
		"rate limit, ok":  {failure: slackserver.Failure{Code: "ratelimited"}, want: "Slack asks for fewer messages", wait: 30 * time.Second},
		"broken":          {failure: slackserver.Failure{Status: 503}, want: "Slack answered 503"},
		"not invited":     {failure: slackserver.Failure{Code: "not_in_channel"}, want: "Slack answered not_in_channel: invite the app to the channel"},
		"token":           {failure: slackserver.Failure{Code: "token_revoked"}, want: "Slack answered token_revoked: the token was revoked: make a new one"},
		"too long":        {failure: slackserver.Failure{Code: "msg_too_long"}, want: "Slack does not take this message: msg_too_long", refused: true},
		"strange":         {failure: slackserver.Failure{Code: "Xoxb " + token}, want: "Slack cannot be reached, or its answer cannot be read"},
		"unknown":         {failure: slackserver.Failure{Code: "some_new_error"}, want: "Slack answered some_new_error"},
		"no answer":       {failure: slackserver.Failure{}, want: "Slack cannot be reached, or its answer cannot be read"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.server.Fail(tc.failure)
			err := d.try(happening(0, history.Created, "", ""))
			var refused *notify.RefusedError
			var busy *notify.BusyError
			if err == nil || err.Error() != tc.want || errors.As(err, &refused) != tc.refused {
				t.Fatalf("got %v, want %s", err, tc.want)
			}
			if errors.As(err, &busy) != (tc.wait > 0) || busy != nil && busy.After != tc.wait {
				t.Errorf("got %+v, want to wait %s", busy, tc.wait)
			}
		})
	}
}

func TestATimeout(t *testing.T) {
	d := newDesk(t)
	d.server.Fail(slackserver.Failure{Hang: true})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := d.sink.Tell(ctx, d.memory, []notify.Notice{{Event: happening(0, history.Created, "", "")}}); err == nil || err.Error() != "Slack did not answer in time" {
		t.Errorf("got %v", err)
	}
}

func TestQuietEvents(t *testing.T) {
	d := newDesk(t)
	quiet := func(events ...history.Event) {
		t.Helper()
		for _, e := range events {
			if told, err := d.sink.Tell(t.Context(), d.memory, []notify.Notice{{Event: e, Quiet: true}}); told != 1 || err != nil {
				t.Fatal(told, err)
			}
		}
	}
	quiet(happening(0, history.Created, "", ""), happening(1, history.Done, "develop", ""))
	if calls := d.server.Calls(); len(calls) > 0 {
		t.Fatalf("something was said: %v", calls)
	}
	d.tell(happening(2, history.Waiting, "production", "an approval"))
	if m := d.only(); !strings.Contains(m.Blocks, "*develop*") {
		t.Error("the message does not know what was before")
	}
	quiet(happening(3, history.Superseded, "", "checkout-2 is newer"))
	if m := d.only(); strings.Contains(m.Blocks, "sengu.approve") || len(d.server.Replies(m.TS)) != 1 {
		t.Error("the button is still there, or the thread tells what was left out")
	}
}

func TestNewSaysWhatIsWrong(t *testing.T) {
	give := func(context.Context) (string, error) { return token, nil }
	for name, opts := range map[string]slack.Options{
		"no token": {Channel: channel}, "a name": {Token: give, Channel: "#deploys"}, "no channel": {Token: give},
	} {
		if _, err := slack.New(opts); err == nil {
			t.Errorf("%s: taken", name)
		}
	}
	for _, broken := range []func(context.Context) (string, error){
		func(context.Context) (string, error) { return "", nil },
		func(context.Context) (string, error) { return "", errors.New("there is no Secret shop-slack") },
	} {
		sink, err := slack.New(slack.Options{Token: broken, Channel: channel})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := sink.Tell(t.Context(), &notebook{values: map[string][]byte{}}, []notify.Notice{{Event: happening(0, history.Created, "", "")}}); err == nil {
			t.Error("told without a token")
		}
	}
}
