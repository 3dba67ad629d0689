package slack_test

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/notify"
	"github.com/sengu-dev/sengu/internal/notify/slack"
	"github.com/sengu-dev/sengu/internal/notify/slack/slackserver"
)

const newChannel = "C0SENGU0002"

// move lets the route name another channel: the sink is made anew, and remembers what the one before did.
func (d *desk) move(to string) {
	d.t.Helper()
	sink, err := slack.New(slack.Options{
		Token: func(context.Context) (string, error) { return token, nil }, Channel: to, APIURL: d.server.API(),
		Logger: slog.New(slog.NewTextHandler(d.log, nil)), Now: func() time.Time { return d.now },
	})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(sink.CloseIdleConnections)
	d.sink = sink
}

// in are the messages of a channel.
func (d *desk) in(channel string) []slackserver.Message {
	var found []slackserver.Message
	for _, m := range d.server.Messages() {
		if m.Channel == channel {
			found = append(found, m)
		}
	}
	return found
}

// TestAnotherChannel posts a Release that is on its way anew, as a whole, and goes on in the new thread.
func TestAnotherChannel(t *testing.T) {
	d := newDesk(t)
	d.server.Open(newChannel)
	d.tell(happening(0, history.Created, "", ""), happening(1, history.Done, "develop", ""))
	before := d.only()
	d.move(newChannel)
	d.tell(happening(2, history.Waiting, "production", "an approval"))
	d.tell(happening(3, history.Approved, "production", ""))
	there, here := d.in(channel), d.in(newChannel)
	if len(there) != 1 || there[0].Updates != before.Updates || len(d.server.Replies(before.TS)) != 1 {
		t.Errorf("in the old channel there is %+v", there)
	}
	if len(here) != 1 || !strings.Contains(here[0].Blocks, "*develop*") || here[0].Updates != 1 {
		t.Fatalf("in the new channel there is %+v", here)
	}
	for _, r := range d.server.Replies(here[0].TS) {
		if r.Channel != newChannel {
			t.Errorf("a reply is in %s", r.Channel)
		}
	}
	if n := len(d.server.Replies(here[0].TS)); n != 2 {
		t.Errorf("there are %d replies in the new thread", n)
	}
}

// TestAnotherChannelAfterALostAnswer: what may have been posted in the old channel is of no interest in the new one.
func TestAnotherChannelAfterALostAnswer(t *testing.T) {
	d := newDesk(t)
	d.server.Open(newChannel)
	d.tell(happening(0, history.Created, "", ""))
	d.server.Fail(slackserver.Failure{Method: "chat.update"}, lost)
	for range 2 {
		if err := d.try(happening(1, history.Started, "develop", "")); err == nil {
			t.Fatal("an answer that never came is no error")
		}
	}
	d.move(newChannel)
	d.tell(happening(1, history.Started, "develop", ""))
	if here := d.in(newChannel); len(here) != 1 || len(d.server.Replies(here[0].TS)) != 1 {
		t.Errorf("in the new channel there is %+v", here)
	}
}

// TestAnOwnMessageInAnotherChannel is of an event that belongs to no Release, and was told: it is not told in the new channel
// too, unless the old one cannot be reached any more and the message says something else by now.
func TestAnOwnMessageInAnotherChannel(t *testing.T) {
	d := newDesk(t)
	d.server.Open(newChannel)
	held := happening(0, history.Held, "production", "an incident")
	held.Release = ""
	d.tell(held)
	d.move(newChannel)
	d.tell(held)
	if here := d.in(newChannel); len(here) > 0 {
		t.Fatalf("in the new channel there is %+v", here)
	}
	for _, code := range []string{"is_archived", "channel_not_found"} {
		held.Why += "!"
		d.server.Fail(slackserver.Failure{Method: "chat.update", Code: code})
		if _, err := d.sink.Tell(t.Context(), d.memory, []notify.Notice{{Event: held}}); err != nil {
			t.Fatal(err)
		}
		if here := d.in(newChannel); len(here) != 1 {
			t.Fatalf("after %s there is %+v in the new channel", code, here)
		}
		d.server.Delete(d.in(newChannel)[0].TS)
		d.memory.values = map[string][]byte{}
		d.move(channel)
		d.tell(held)
		d.move(newChannel)
	}
	// In the channel of the route itself, that is for a person to mend.
	d.move(channel)
	held.Why += "!"
	d.server.Fail(slackserver.Failure{Method: "chat.update", Code: "is_archived"})
	if err := d.try(held); err == nil {
		t.Error("an archived channel is no error")
	}
}
