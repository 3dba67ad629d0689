package slack

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"regexp"
	"slices"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/notify"
)

const (
	// run is how many events one update of a message may carry.
	run = 20
	// crowd is how many Releases make a group in whose thread only the important is said.
	crowd = 10
)

// Options of a Sink.
type Options struct {
	// Token gives the bot token of the app, again for each call, so that it may change.
	Token func(ctx context.Context) (string, error)
	// Channel is the ID of the channel, such as C0123456789. A name will not do, because channels are renamed.
	Channel string
	// Link is the address of a page about the commit of the event, or ""; nil for none.
	Link func(history.Event) string
	// ReadOnly leaves the buttons away.
	ReadOnly bool
	// APIURL in the place of Slack's own, with a slash at its end.
	APIURL string
	// Logger is slog's default when nil.
	Logger *slog.Logger
	// Now is time.Now when nil.
	Now func() time.Time
}

// Sink keeps the messages of one channel.
type Sink struct {
	opts Options
	http *http.Client
}

var channelID = regexp.MustCompile(`^[CGD][A-Z0-9]{6,20}$`)

// New makes a Sink.
func New(opts Options) (*Sink, error) {
	switch {
	case opts.Token == nil:
		return nil, errors.New("a sink for Slack needs a token")
	case !channelID.MatchString(opts.Channel):
		return nil, fmt.Errorf("%q is not the ID of a channel of Slack, such as C0123456789: it is at the end of the channel's details", notify.Text(opts.Channel, 40))
	}
	if opts.Link == nil {
		opts.Link = func(history.Event) string { return "" }
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	return &Sink{opts, newHTTP()}, nil
}

// Follows makes the Sink a notify.Follower: a message stays true also by events that it does not tell.
func (s *Sink) Follows() {}

// CloseIdleConnections lets the connections go that are not in use.
func (s *Sink) CloseIdleConnections() { s.http.CloseIdleConnections() }

// Tell tells the notices at the beginning that belong to one message: by one post or update, and a reply for each.
func (s *Sink) Tell(ctx context.Context, memory notify.Memory, notices []notify.Notice) (int, error) {
	notices = slices.Clone(notices)
	key, m, alone, err := locate(ctx, memory, &notices[0].Event)
	if err != nil {
		return 0, err
	}
	if !alone { // what has a message of its own is told there, and not again
		m.moveTo(s.opts.Channel)
	}
	n := 1
	for n < min(len(notices), run) && !alone && !byHand(notices[n].Event) && messageKey(notices[n].Event) == key {
		n++
	}
	speaks := false
	for _, notice := range notices[:n] {
		if err := s.join(ctx, memory, m, notice.Event); err != nil {
			return 0, err
		}
		speaks = speaks || !notice.Quiet
	}
	switch {
	case alone && !speaks:
		return n, nil
	case m.TS == "" && m.Sending == "" && !speaks:
		// Nothing was said yet. When something is, it shall be the whole of it.
		return done(n, m.remember(ctx, memory, key))
	}
	api, err := s.client(ctx)
	if err != nil {
		return 0, err
	}
	c := &conversation{sink: s, api: api, memory: memory, key: key, message: m}
	content := m.render()
	if s.opts.ReadOnly {
		content.blocks = slices.DeleteFunc(content.blocks, func(b slackgo.Block) bool { return b.BlockType() == slackgo.MBTAction })
	}
	if alone {
		content = reply(notices[0].Event, true)
	}
	if err := c.show(ctx, content); err != nil {
		return 0, err
	}
	for i, notice := range notices[:n] {
		if alone || !m.replies(notice) {
			continue
		}
		if err := c.reply(ctx, notice.Event); err != nil {
			return i, err
		}
	}
	return done(n, m.remember(ctx, memory, key))
}

// join folds an event into the message, and remembers which group a Release belongs to when it is new there.
func (s *Sink) join(ctx context.Context, memory notify.Memory, m *message, e history.Event) error {
	if e.Group != "" && !byHand(e) && m.find(e) == nil {
		if err := memory.Remember(ctx, memberKey(e), []byte(e.Group)); err != nil {
			return fmt.Errorf("remember the group of a Release: %w", err)
		}
	}
	m.fold(e, s.opts.Link(e))
	return nil
}

// done is how many are told if the last step was taken. They are told again if not, and what they say is known then.
func done(n int, err error) (int, error) {
	if err != nil {
		return 0, err
	}
	return n, nil
}

// important are the kinds of events that are told in the thread of any group, however large.
var important = []history.Kind{
	history.Failed, history.RolledBack, history.Promoted, history.Aborted, history.Held, history.Resumed,
}

// replies reports whether an event gets a reply in the thread.
func (m *message) replies(n notify.Notice) bool {
	switch {
	case n.Quiet, n.Kind == history.Created:
		return false
	case len(m.Releases) > crowd || m.More:
		return n.Loud || slices.Contains(important, n.Kind)
	}
	return true
}

// hashOf tells one content from another.
func hashOf(r rendered) string {
	data, err := json.Marshal(struct {
		Text   string
		Blocks []slackgo.Block
	}{r.text, r.blocks})
	if err != nil {
		return ""
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:16])
}
