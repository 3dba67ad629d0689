package slack_test

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/notify"
	"github.com/sengu-dev/sengu/internal/notify/slack"
	"github.com/sengu-dev/sengu/internal/notify/slack/slackserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	token   = "xoxb-planted-token"
	channel = "C0SENGU0001"
	hash    = "0123456789abcdef0123456789abcdef01234567"
)

var start = time.Date(2030, time.April, 1, 9, 0, 0, 0, time.UTC)

// notebook is a notify.Memory that can be lost sight of.
type notebook struct {
	mu     sync.Mutex
	values map[string][]byte
	broken bool
}

func (n *notebook) Remember(_ context.Context, key string, value []byte) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.broken {
		return errors.New("the store is away")
	}
	if len(value) > notify.MaxMemory {
		return errors.New("the value is too large")
	}
	n.values[key] = slices.Clone(value)
	return nil
}

func (n *notebook) Recall(_ context.Context, key string) ([]byte, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.values[key]), nil
}

// desk is a sink with Slack on the other side.
type desk struct {
	t      *testing.T
	server *slackserver.Server
	sink   *slack.Sink
	memory *notebook
	log    *strings.Builder
	now    time.Time
}

func newDesk(t *testing.T) *desk {
	d := &desk{t: t, memory: &notebook{values: map[string][]byte{}}, log: &strings.Builder{}, now: start}
	d.server = slackserver.New(token, channel, func() time.Time { return d.now })
	sink, err := slack.New(slack.Options{
		Token: func(context.Context) (string, error) { return token, nil }, Channel: channel, APIURL: d.server.API(),
		Logger: slog.New(slog.NewTextHandler(d.log, nil)), Now: func() time.Time { return d.now },
		Link: func(e history.Event) string { return "https://git.example.com/shop/commit/" + e.Revision },
	})
	if err != nil {
		t.Fatal(err)
	}
	d.sink = sink
	t.Cleanup(func() {
		sink.CloseIdleConnections()
		d.server.Close()
		if wrong := d.server.Wrong(); len(wrong) > 0 {
			t.Errorf("not as Slack wants it:\n%s", strings.Join(wrong, "\n"))
		}
		if pinged := d.server.Pinged(); len(pinged) > 0 {
			t.Errorf("people were called: %v", pinged)
		}
		if strings.Contains(d.log.String(), token) {
			t.Errorf("the token is in the log:\n%s", d.log)
		}
	})
	return d
}

// try tells events as the dispatcher would, and stops at an error.
func (d *desk) try(events ...history.Event) error {
	d.t.Helper()
	notices := make([]notify.Notice, 0, len(events))
	for _, e := range events {
		notices = append(notices, notify.Notice{Event: e})
	}
	for len(notices) > 0 {
		told, err := d.sink.Tell(d.t.Context(), d.memory, notices)
		if err != nil {
			if strings.Contains(err.Error(), token) || strings.Contains(err.Error(), d.server.URL) || strings.Contains(err.Error(), "\n") {
				d.t.Errorf("the error is no sentence without secrets: %v", err)
			}
			return err
		}
		if told < 1 || told > len(notices) {
			d.t.Fatalf("told %d of %d", told, len(notices))
		}
		notices = notices[told:]
	}
	return nil
}

func (d *desk) tell(events ...history.Event) {
	d.t.Helper()
	if err := d.try(events...); err != nil {
		d.t.Fatal(err)
	}
}

// only is the one message that there is.
func (d *desk) only() slackserver.Message {
	d.t.Helper()
	messages := d.server.Messages()
	if len(messages) != 1 {
		d.t.Fatalf("there are %d messages, want one", len(messages))
	}
	return messages[0]
}

// happening is an event of the Release checkout-1, a minute after the one before it.
func happening(minute int, kind history.Kind, environment, why string) history.Event {
	e := history.Event{
		Key: "checkout-1/" + string(kind) + "/" + environment, Time: start.Add(time.Duration(minute) * time.Minute), Kind: kind,
		Fleet: "shop", Service: "checkout", Environment: environment, Release: "checkout-1", Revision: hash,
		Title: "Round the cart to the cent", Author: "Somebody", By: "sengu", Why: why,
	}
	if kind == history.Created {
		e.Images = []history.Image{{Name: "registry.example.com/shop/checkout", Tag: "1.2.3"}}
	}
	return e
}
