package slackserver

import (
	"encoding/json"
	"fmt"
	"net/url"
	"regexp"
	"unicode/utf8"
)

// The limits of Slack's reference for messages and blocks, in characters and in elements.
const (
	maxBlocks, maxText, maxHeader, maxSection, maxElements, maxContext = 50, 40000, 150, 3000, 25, 10
	maxButton, maxValue, maxID                                         = 75, 2000, 255
	maxConfirmTitle, maxConfirmText, maxConfirmButton                  = 100, 300, 30
	maxMetadata                                                        = 8000
)

// mention is what calls people in mrkdwn.
var mention = regexp.MustCompile(`<(!|@|#)[^>]*>|@(here|channel|everyone)\b`)

var eventType = regexp.MustCompile(`^[a-z0-9_]{1,255}$`)

type text struct {
	Type, Text string
	Emoji      *bool
	Verbatim   bool
}

type block struct {
	Type     string
	Text     *text
	BlockID  string `json:"block_id"`
	Elements []struct {
		Type     string
		Text     json.RawMessage
		ActionID string `json:"action_id"`
		Value    string
		Style    string
		Verbatim bool
		Confirm  *struct {
			Title, Text, Confirm, Deny *text
		}
	}
}

func (s *Server) violate(format string, args ...any) {
	sentence := []rune(fmt.Sprintf(format, args...))
	s.wrong = append(s.wrong, string(sentence[:min(len(sentence), 300)]))
}

// scan notes mentions. A date is none.
func (s *Server) scan(text string) {
	for _, m := range mention.FindAllString(text, -1) {
		if len(m) > 6 && m[:6] == "<!date" {
			continue
		}
		s.pinged = append(s.pinged, m)
	}
}

// check looks at the arguments of a message.
func (s *Server) check(method string, args url.Values) {
	if args.Get("parse") != "none" || args.Get("link_names") != "false" {
		s.violate("%s: names in the text would be linked", method)
	}
	if method == "chat.postMessage" && (args.Get("unfurl_links") != "false" || args.Get("unfurl_media") != "false") {
		s.violate("%s: links of strangers would be unfurled", method)
	}
	s.fits(method+" text", args.Get("text"), 1, maxText)
	s.scan(args.Get("text"))
	if metadata := args.Get("metadata"); metadata != "" {
		var m struct {
			EventType    string         `json:"event_type"`
			EventPayload map[string]any `json:"event_payload"`
		}
		if err := json.Unmarshal([]byte(metadata), &m); err != nil || !eventType.MatchString(m.EventType) || len(m.EventPayload) == 0 || len(metadata) > maxMetadata {
			s.violate("%s: metadata %s", method, metadata)
		}
	}
	if args.Get("blocks") == "" {
		return
	}
	var blocks []block
	if err := json.Unmarshal([]byte(args.Get("blocks")), &blocks); err != nil || len(blocks) > maxBlocks {
		s.violate("%s: %d blocks, %v", method, len(blocks), err)
	}
	for _, b := range blocks {
		s.block(method, b)
	}
}

func (s *Server) block(method string, b block) {
	s.fits(method+" block_id", b.BlockID, 0, maxID)
	switch b.Type {
	case "divider":
	case "header":
		s.text("header", b.Text, "plain_text", maxHeader)
	case "section":
		s.text("section", b.Text, "mrkdwn", maxSection)
	case "context":
		if n := len(b.Elements); n < 1 || n > maxContext {
			s.violate("context: %d elements", n)
		}
		for _, e := range b.Elements {
			var t string
			if err := json.Unmarshal(e.Text, &t); err != nil {
				s.violate("context: %v", err)
			}
			s.text("context", &text{Type: e.Type, Text: t, Verbatim: e.Verbatim}, "mrkdwn", maxSection)
		}
	case "actions":
		s.actions(b)
	default:
		s.violate("a block of type %q is not known", b.Type)
	}
}

func (s *Server) actions(b block) {
	if n := len(b.Elements); n < 1 || n > maxElements {
		s.violate("actions: %d elements", n)
	}
	ids := map[string]bool{}
	for _, e := range b.Elements {
		var t text
		if err := json.Unmarshal(e.Text, &t); err != nil || e.Type != "button" {
			s.violate("actions: an element of type %q: %v", e.Type, err)
		}
		s.text("button", &t, "plain_text", maxButton)
		s.fits("action_id", e.ActionID, 1, maxID)
		s.fits("value", e.Value, 0, maxValue)
		if ids[e.ActionID] || e.Style != "" && e.Style != "primary" && e.Style != "danger" {
			s.violate("actions: action_id %s is there twice, or its style %q is not known", e.ActionID, e.Style)
		}
		ids[e.ActionID] = true
		if c := e.Confirm; c != nil {
			s.text("confirm", c.Title, "plain_text", maxConfirmTitle)
			s.text("confirm", c.Text, "plain_text", maxConfirmText)
			s.text("confirm", c.Confirm, "plain_text", maxConfirmButton)
			s.text("confirm", c.Deny, "plain_text", maxConfirmButton)
		}
	}
}

func (s *Server) text(where string, t *text, kind string, most int) {
	switch {
	case t == nil || t.Type != kind:
		s.violate("%s: its text is missing, or no %s", where, kind)
		return
	case kind == "mrkdwn" && !t.Verbatim:
		s.violate("%s: what strangers wrote would be linked: %q", where, t.Text)
	case kind == "plain_text" && (t.Emoji == nil || *t.Emoji):
		s.violate("%s: what strangers wrote would become emoji: %q", where, t.Text)
	}
	s.fits(where, t.Text, 1, most)
	s.scan(t.Text)
}

func (s *Server) fits(where, text string, least, most int) {
	if n := utf8.RuneCountInString(text); n < least || n > most || !utf8.ValidString(text) {
		s.violate("%s: %d characters, of %d to %d", where, n, least, most)
	}
}
