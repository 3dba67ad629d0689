package slackserver_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/internal/notify/slack/slackserver"
)

// TestStrictness sends what Slack would not take, or would take and should not have been sent.
func TestStrictness(t *testing.T) {
	good := url.Values{
		"token": {"t"}, "channel": {"C0SENGU0001"}, "text": {"hello"}, "parse": {"none"}, "link_names": {"false"},
		"unfurl_links": {"false"}, "unfurl_media": {"false"},
	}
	section := func(text string) string {
		return `[{"type":"section","text":{"type":"mrkdwn","verbatim":true,"text":"` + text + `"}}]`
	}
	tests := map[string]struct {
		method     string
		with       url.Values
		wrong      bool
		calls, bad bool
	}{
		"good":                 {},
		"good blocks":          {with: url.Values{"blocks": {section("<!date^1^{time}|x> &lt;!channel&gt;")}}},
		"an unknown argument":  {with: url.Values{"icon_url": {"x"}}, wrong: true},
		"an unknown method":    {method: "chat.delete", wrong: true, bad: true},
		"names are linked":     {with: url.Values{"parse": {"full"}}, wrong: true},
		"links are unfurled":   {with: url.Values{"unfurl_links": {"true"}}, wrong: true},
		"no text":              {with: url.Values{"text": {""}}, wrong: true},
		"a call in the text":   {with: url.Values{"text": {"<!here>"}}, calls: true},
		"a call in a block":    {with: url.Values{"blocks": {section("hi <@U0123456789>")}}, calls: true},
		"a call by hand":       {with: url.Values{"blocks": {section("hi @channel")}}, calls: true},
		"a long section":       {with: url.Values{"blocks": {section(strings.Repeat("x", 3001))}}, wrong: true},
		"an empty section":     {with: url.Values{"blocks": {section("")}}, wrong: true},
		"not verbatim":         {with: url.Values{"blocks": {`[{"type":"section","text":{"type":"mrkdwn","text":"x"}}]`}}, wrong: true},
		"a long header":        {with: url.Values{"blocks": {`[{"type":"header","text":{"type":"plain_text","emoji":false,"text":"` + strings.Repeat("x", 151) + `"}}]`}}, wrong: true},
		"an unknown block":     {with: url.Values{"blocks": {`[{"type":"video"}]`}}, wrong: true},
		"many blocks":          {with: url.Values{"blocks": {"[" + strings.Repeat(`{"type":"divider"},`, 50) + `{"type":"divider"}]`}}, wrong: true},
		"two buttons, one id":  {with: url.Values{"blocks": {`[{"type":"actions","elements":[` + button + "," + button + `]}]`}}, wrong: true},
		"one button":           {with: url.Values{"blocks": {`[{"type":"actions","elements":[` + button + `]}]`}}},
		"bad metadata":         {with: url.Values{"metadata": {`{"event_type":"A B"}`}}, wrong: true},
		"another token":        {with: url.Values{"token": {"x"}}, bad: true},
		"another channel":      {with: url.Values{"channel": {"C0OTHER0001"}}, bad: true},
		"a thread of nobody":   {with: url.Values{"thread_ts": {"1.000001"}}, bad: true},
		"an update of nothing": {method: "chat.update", with: url.Values{"ts": {"1.000001"}, "unfurl_links": nil, "unfurl_media": nil}, bad: true},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			s := slackserver.New("t", "C0SENGU0001", time.Now)
			defer s.Close()
			args := url.Values{}
			for k, v := range good {
				args[k] = v
			}
			for k, v := range tc.with {
				if args[k] = v; v == nil {
					delete(args, k)
				}
			}
			method := tc.method
			if method == "" {
				method = "chat.postMessage"
			}
			resp, err := http.PostForm(s.API()+method, args)
			if err != nil {
				t.Fatal(err)
			}
			_ = resp.Body.Close()
			if posted := len(s.Messages()) == 1; posted == tc.bad {
				t.Errorf("posted: %t", posted)
			}
			if (len(s.Wrong()) > 0) != tc.wrong || (len(s.Pinged()) > 0) != tc.calls {
				t.Errorf("wrong %v, called %v", s.Wrong(), s.Pinged())
			}
		})
	}
}

const button = `{"type":"button","action_id":"a","value":"v","text":{"type":"plain_text","emoji":false,"text":"x"}}`
