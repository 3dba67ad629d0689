package slack

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/notify"
)

// maxRecalled bounds what a remembered message unpacks to, in bytes.
const maxRecalled = 8 << 20

// messageKey names the message that an event belongs to.
func messageKey(e history.Event) string {
	switch {
	case e.Group != "":
		return notify.Key("group/" + e.Fleet + "/" + e.Group)
	case e.Release != "":
		return notify.Key("release/" + e.Fleet + "/" + e.Release)
	default:
		return aloneKey(e)
	}
}

// aloneKey names the message of an event that has one of its own.
func aloneKey(e history.Event) string { return notify.Key("event/" + e.Key) }

// memberKey is where the group of a Release is remembered, for events that do not name it.
func memberKey(e history.Event) string { return "member/" + e.Fleet + "/" + e.Release }

// byHand reports whether an event is about what a person did to an environment, and not about the way of a Release.
func byHand(e history.Event) bool {
	switch e.Kind {
	case history.Held, history.Resumed, history.Pinned, history.Unpinned:
		return true
	}
	return false
}

// locate finds the message of an event. What a person did to an environment belongs to the Release that is on its way
// there; when that is through, or nothing was said of it, nobody looks at its message, and the event gets its own.
func locate(ctx context.Context, memory notify.Memory, e *history.Event) (key string, m *message, alone bool, err error) {
	if byHand(*e) && e.Group == "" && e.Release != "" {
		group, err := memory.Recall(ctx, memberKey(*e))
		if err != nil {
			return "", nil, false, fmt.Errorf("recall the group of a Release: %w", err)
		}
		e.Group = string(group)
	}
	key = messageKey(*e)
	if m, err = recall(ctx, memory, key); err != nil {
		return "", nil, false, err
	}
	if own := aloneKey(*e); key != own && byHand(*e) {
		if r := m.find(*e); m.TS == "" || r == nil || r.Ended != "" {
			key = own
			if m, err = recall(ctx, memory, key); err != nil {
				return "", nil, false, err
			}
		}
	}
	return key, m, key == aloneKey(*e), nil
}

func recall(ctx context.Context, memory notify.Memory, key string) (*message, error) {
	value, err := memory.Recall(ctx, key)
	if err != nil {
		return nil, fmt.Errorf("recall the message: %w", err)
	}
	m := &message{}
	if len(value) == 0 {
		return m, nil
	}
	unpacked, err := gzip.NewReader(bytes.NewReader(value))
	if err != nil {
		return nil, fmt.Errorf("what is remembered of the message cannot be read: %w", err)
	}
	if err := json.NewDecoder(io.LimitReader(unpacked, maxRecalled)).Decode(m); err != nil {
		return nil, fmt.Errorf("what is remembered of the message cannot be read: %w", err)
	}
	return m, nil
}

func (m *message) remember(ctx context.Context, memory notify.Memory, key string) error {
	value, err := m.encode()
	for err == nil && len(value) > notify.MaxMemory {
		if !m.shrink() {
			return errors.New("the message is too large to be remembered")
		}
		value, err = m.encode()
	}
	if err != nil {
		return fmt.Errorf("encode the message: %w", err)
	}
	if err := memory.Remember(ctx, key, value); err != nil {
		return fmt.Errorf("remember the message: %w", err)
	}
	return nil
}

func (m *message) encode() ([]byte, error) {
	var out bytes.Buffer
	packed := gzip.NewWriter(&out)
	if err := json.NewEncoder(packed).Encode(m); err != nil {
		return nil, err
	}
	if err := packed.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

// shrink forgets what is least missed: reasons, then the less urgent half of the Releases.
func (m *message) shrink() bool {
	shorter := false
	for _, r := range m.Releases {
		for _, p := range r.Places {
			for _, text := range []*string{&p.Why, &p.HeldWhy, &p.By} {
				if short := notify.Text(*text, maxWhy/8); short != *text {
					*text, shorter = short, true
				}
			}
		}
	}
	if shorter {
		return true
	}
	if len(m.Releases) < 2 {
		return false
	}
	m.Releases = slices.Clone(m.urgent()[:len(m.Releases)/2])
	m.More = true
	return true
}
