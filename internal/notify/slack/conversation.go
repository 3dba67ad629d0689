package slack

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strconv"
	"time"

	slackgo "github.com/slack-go/slack"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/notify"
)

const (
	// sendingMessage is what message.Sending holds for the message itself.
	sendingMessage = "message"
	// metadataType marks our messages, for our eyes only.
	metadataType = "sengu_notification"
	// pages of messages, and messages of each, among which a lost one is looked for.
	searchPages, searchLimit = 5, 200
	// skew is how far Slack's clock may be behind ours.
	skew = 10 * time.Minute
)

// conversation is one message and its thread, while they are brought up to date.
type conversation struct {
	sink    *Sink
	api     *slackgo.Client
	memory  notify.Memory
	key     string
	message *message
}

// show posts the message, or updates it if it shows something else.
func (c *conversation) show(ctx context.Context, content rendered) error {
	m, sum := c.message, hashOf(content)
	if m.TS == "" && m.Sending == sendingMessage {
		if err := c.find(ctx); err != nil {
			return err
		}
	}
	if m.TS != "" {
		if m.Shown == sum && sum != "" {
			return nil
		}
		err := c.update(ctx, content)
		switch name := answered(err); {
		case err == nil:
			m.Shown = sum
			return nil
		case name == "edit_window_closed":
			c.sink.opts.Logger.Warn("a message of Slack cannot be updated any more: the workspace does not allow it", "message", c.key)
			m.Shown = sum
			return nil
		case !c.lost(name):
			return explain(err)
		}
		// Somebody deleted it, or the channel that it is in.
		m.TS, m.Sending = "", ""
	}
	if err := c.sending(ctx, sendingMessage); err != nil {
		return err
	}
	channel, ts, err := c.post(ctx, content, slackgo.MsgOptionMetadata(c.metadata("")))
	if err != nil {
		return c.failed(ctx, err)
	}
	m.Channel, m.Route, m.TS, m.Shown, m.Sending, m.SendingAt = channel, c.sink.opts.Channel, ts, sum, "", time.Time{}
	return m.remember(ctx, c.memory, c.key)
}

// lost reports whether an error means that the message cannot be changed any more. That its channel is away is no reason to
// post it anew in the same one.
func (c *conversation) lost(name string) bool {
	elsewhere := c.message.Channel != c.sink.opts.Channel
	return slices.Contains(gone, name) || elsewhere && (name == "channel_not_found" || name == "is_archived")
}

// reply tells an event in the thread.
func (c *conversation) reply(ctx context.Context, e history.Event) error {
	m := c.message
	if slices.Contains(m.Told, e.Key) {
		return nil
	}
	if m.Sending == e.Key {
		found, err := c.findReply(ctx, e.Key)
		if err != nil {
			return err
		}
		if found {
			m.tell(e.Key)
			return nil
		}
	}
	if err := c.sending(ctx, e.Key); err != nil {
		return err
	}
	options := []slackgo.MsgOption{slackgo.MsgOptionTS(m.TS), slackgo.MsgOptionMetadata(c.metadata(e.Key))}
	if e.Loud {
		options = append(options, slackgo.MsgOptionBroadcast())
	}
	if _, _, err := c.post(ctx, reply(e, len(m.Releases) > 1 || m.More), options...); err != nil {
		if slices.Contains(gone, answered(err)) {
			m.Shown = "" // so that the next try finds out that the message is gone
		}
		return c.failed(ctx, err)
	}
	m.tell(e.Key)
	return nil
}

// sending remembers what may have been sent from now on.
func (c *conversation) sending(ctx context.Context, what string) error {
	c.message.Sending, c.message.SendingAt = what, c.sink.opts.Now()
	return c.message.remember(ctx, c.memory, c.key)
}

// failed forgets that something may have been sent, if the error says that it was not.
func (c *conversation) failed(ctx context.Context, err error) error {
	if undone(err) {
		c.message.Sending, c.message.SendingAt = "", time.Time{}
		// Without this, the next try looks for the message in vain, and no more.
		_ = c.message.remember(ctx, c.memory, c.key)
	}
	return explain(err)
}

// post sends a message. Blocks that Slack does not take are left out, so that at least the text is told.
func (c *conversation) post(ctx context.Context, content rendered, more ...slackgo.MsgOption) (channel, ts string, err error) {
	options := append([]slackgo.MsgOption{
		slackgo.MsgOptionText(cmp.Or(content.text, nothing), false), slackgo.MsgOptionParse(false), slackgo.MsgOptionLinkNames(false),
		slackgo.MsgOptionDisableLinkUnfurl(), slackgo.MsgOptionDisableMediaUnfurl(), slackgo.MsgOptionDisableMarkdown(),
	}, more...)
	channel, ts, err = c.api.PostMessageContext(ctx, c.sink.opts.Channel, append(options, slackgo.MsgOptionBlocks(content.blocks...))...)
	if c.badBlocks(err) {
		channel, ts, err = c.api.PostMessageContext(ctx, c.sink.opts.Channel, options...)
	}
	if err == nil && (channel == "" || ts == "") {
		return "", "", fmt.Errorf("the answer does not say where the message is")
	}
	return channel, ts, err
}

func (c *conversation) update(ctx context.Context, content rendered) error {
	m := c.message
	options := []slackgo.MsgOption{
		slackgo.MsgOptionText(cmp.Or(content.text, nothing), false), slackgo.MsgOptionParse(false), slackgo.MsgOptionLinkNames(false),
		slackgo.MsgOptionMetadata(c.metadata("")),
	}
	_, _, _, err := c.api.UpdateMessageContext(ctx, m.Channel, m.TS, append(options, slackgo.MsgOptionBlocks(content.blocks...))...)
	if c.badBlocks(err) {
		_, _, _, err = c.api.UpdateMessageContext(ctx, m.Channel, m.TS, append(options, slackgo.MsgOptionBlocks())...)
	}
	return err
}

func (c *conversation) badBlocks(err error) bool {
	name := answered(err)
	if name != "invalid_blocks" && name != "invalid_blocks_format" && name != "msg_blocks_too_long" {
		return false
	}
	c.sink.opts.Logger.Error("Slack does not take a message as Sengu lays it out, so that only its text is sent: report it with the log", "message", c.key, "answer", name)
	return true
}

// metadata marks a message, and a reply with the key of its event.
func (c *conversation) metadata(event string) slackgo.SlackMetadata {
	payload := map[string]any{"message": c.key}
	if event != "" {
		payload["event"] = notify.Key(event)
	}
	return slackgo.SlackMetadata{EventType: metadataType, EventPayload: payload}
}

// find looks for a message that was perhaps posted without an answer.
func (c *conversation) find(ctx context.Context) error {
	m, cursor := c.message, ""
	for range searchPages {
		page, err := c.api.GetConversationHistoryContext(ctx, &slackgo.GetConversationHistoryParameters{
			ChannelID: c.sink.opts.Channel, Cursor: cursor, Limit: searchLimit, IncludeAllMetadata: true,
			Oldest: stamp(m.SendingAt.Add(-skew)),
		})
		if err != nil {
			return c.blind(err)
		}
		for _, other := range page.Messages {
			if c.ours(other, "") {
				m.Channel, m.Route = c.sink.opts.Channel, c.sink.opts.Channel
				m.TS, m.Shown, m.Sending, m.SendingAt = other.Timestamp, "", "", time.Time{}
				return nil
			}
		}
		if cursor = page.ResponseMetaData.NextCursor; cursor == "" {
			return nil
		}
	}
	return nil
}

// findReply looks for a reply that was perhaps posted without an answer.
func (c *conversation) findReply(ctx context.Context, event string) (bool, error) {
	m, cursor := c.message, ""
	for range searchPages {
		replies, _, next, err := c.api.GetConversationRepliesContext(ctx, &slackgo.GetConversationRepliesParameters{
			ChannelID: m.Channel, Timestamp: m.TS, Cursor: cursor, Limit: searchLimit, IncludeAllMetadata: true,
			Oldest: stamp(m.SendingAt.Add(-skew)),
		})
		if err != nil {
			return false, c.blind(err)
		}
		if slices.ContainsFunc(replies, func(other slackgo.Message) bool { return c.ours(other, event) }) {
			return true, nil
		}
		if cursor = next; cursor == "" {
			return false, nil
		}
	}
	return false, nil
}

// blind decides what to do when messages cannot be looked for. If that will not change by itself, it is better to say
// something twice than not at all.
func (c *conversation) blind(err error) error {
	switch answered(err) {
	case "missing_scope", "no_permission", "not_allowed_token_type", "thread_not_found":
		c.sink.opts.Logger.Warn("a message of Slack may appear twice, because Sengu may not look for it: give the app channels:history, or groups:history for a private channel", "message", c.key)
		return nil
	}
	return explain(err)
}

func (c *conversation) ours(other slackgo.Message, event string) bool {
	if other.BotID == "" || other.Metadata.EventType != metadataType || other.Metadata.EventPayload["message"] != c.key {
		return false
	}
	if event == "" {
		return other.Metadata.EventPayload["event"] == nil
	}
	return other.Metadata.EventPayload["event"] == notify.Key(event)
}

// stamp writes a time as Slack does.
func stamp(t time.Time) string {
	return strconv.FormatInt(t.Unix(), 10) + ".000000"
}
