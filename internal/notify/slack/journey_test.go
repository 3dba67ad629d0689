package slack_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/notify/slack"
	"github.com/sengu-dev/sengu/internal/notify/slack/slackserver"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares what a message shows with a file.
func golden(t *testing.T, name string, m slackserver.Message, replies []slackserver.Message) {
	t.Helper()
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	shown := struct {
		Text    string          `json:"text"`
		Blocks  json.RawMessage `json:"blocks"`
		Replies []string        `json:"replies"`
	}{m.Text, json.RawMessage(m.Blocks), nil}
	for _, r := range replies {
		shown.Replies = append(shown.Replies, r.Text)
	}
	if err := enc.Encode(shown); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join("testdata", name+".json")
	if *update {
		if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), out.String()); diff != "" {
		t.Errorf("%s:\n%s", path, diff)
	}
}

func TestJourneys(t *testing.T) {
	begin := []history.Event{
		happening(0, history.Created, "", ""), happening(1, history.Started, "develop", ""), happening(2, history.Verifying, "develop", ""),
		happening(3, history.Done, "develop", ""), happening(4, history.Passed, "staging", ""),
		happening(5, history.Waiting, "production", "one approval of the group sre"),
	}
	approved := happening(6, history.Approved, "production", "")
	approved.By = "alice@example.com"
	loud := happening(6, history.Promoted, "production", "the gates were skipped: the shop is down")
	loud.By, loud.Loud = "alice@example.com", true
	held := happening(6, history.Held, "production", "wait for the database")
	held.By = "alice@example.com"
	for name, more := range map[string][]history.Event{
		"waiting":    {},
		"approved":   {approved, happening(7, history.Started, "production", "")},
		"done":       {approved, happening(7, history.Started, "production", ""), happening(8, history.Done, "production", ""), happening(8, history.Done, "", "")},
		"failed":     {approved, happening(7, history.Failed, "production", "the Pods of checkout do not start: ImagePullBackOff"), happening(8, history.RolledBack, "production", "")},
		"promoted":   {loud},
		"held":       {held},
		"superseded": {happening(6, history.Superseded, "", "checkout-2 is newer")},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.tell(begin...)
			d.tell(more...)
			m := d.only()
			replies := d.server.Replies(m.TS)
			golden(t, name, m, replies)
			if want := len(begin) + len(more) - 1; len(replies) != want {
				t.Errorf("%d replies, want one for each event but the first: %d", len(replies), want)
			}
			for _, r := range replies {
				if r.Broadcast != strings.Contains(r.Text, "promoted") {
					t.Errorf("%q is broadcast: %t", r.Text, r.Broadcast)
				}
			}
		})
	}
}

func TestOneUpdateForManyEvents(t *testing.T) {
	d := newDesk(t)
	d.tell(happening(0, history.Created, "", ""), happening(1, history.Started, "develop", ""), happening(2, history.Done, "develop", ""))
	d.tell(happening(3, history.Started, "staging", ""), happening(4, history.JobFinished, "staging", "job migrate succeeded"))
	d.tell(happening(5, history.JobFinished, "staging", "job e2e succeeded"))
	if m := d.only(); m.Updates != 1 {
		t.Errorf("%d updates, want one", m.Updates)
	}
}

func TestAnOlderEventUndoesNothing(t *testing.T) {
	d := newDesk(t)
	d.tell(happening(0, history.Created, "", ""), happening(3, history.Done, "develop", ""))
	before := d.only().Blocks
	d.tell(happening(2, history.Started, "develop", ""))
	if diff := cmp.Diff(before, d.only().Blocks); diff != "" {
		t.Error(diff)
	}
}

// group is an event of one of many Releases of a commit.
func group(service, minute int, kind history.Kind, environment, why string) history.Event {
	e := happening(minute, kind, environment, why)
	e.Service, e.Group = fmt.Sprintf("service-%03d", service), "shop-0123456"
	e.Release = e.Service + "-1"
	e.Key = e.Release + "/" + string(kind) + "/" + environment
	return e
}

func TestGroup(t *testing.T) {
	d := newDesk(t)
	for i := range 4 {
		d.tell(group(i, 0, history.Created, "", ""))
	}
	d.tell(group(0, 1, history.Done, "develop", ""), group(1, 2, history.Started, "develop", ""), group(2, 3, history.Failed, "develop", "a Job failed"))
	d.tell(group(0, 4, history.Waiting, "production", "one approval of the group sre"))
	m := d.only()
	golden(t, "group", m, d.server.Replies(m.TS))
}

func TestAGroupOfOneLooksLikeARelease(t *testing.T) {
	d := newDesk(t)
	d.tell(group(0, 0, history.Created, "", ""), group(0, 1, history.Waiting, "production", "an approval"))
	if blocks := d.only().Blocks; !strings.Contains(blocks, `"service-000: Round the cart`) || !strings.Contains(blocks, `\"r\":\"service-000-1\"`) {
		t.Errorf("got %s", blocks)
	}
}

func TestALargeGroupStaysReadable(t *testing.T) {
	d := newDesk(t)
	const services = 500
	var list []history.Event
	for i := range services {
		list = append(list, group(i, 0, history.Created, "", ""))
	}
	for _, k := range []history.Kind{history.Started, history.Done} {
		for i := range services {
			list = append(list, group(i, 1, k, "develop", ""))
		}
	}
	list = append(list, group(7, 2, history.Failed, "develop", "a Job failed"), group(495, 2, history.Failed, "develop", "a Job failed"))
	d.tell(list...)
	m := d.only()
	replies := d.server.Replies(m.TS)
	if calls := len(d.server.Calls()); calls > 150 {
		t.Errorf("%d events took %d calls", len(list), calls)
	}
	if len(replies) > 15 || !strings.Contains(m.Blocks, "*service-007*") || !strings.Contains(m.Text, "more than 400 services") || strings.Contains(m.Blocks, "rollback") {
		t.Errorf("%d replies, %s\n%s", len(replies), m.Text, m.Blocks)
	}
	if last := replies[len(replies)-1].Text; !strings.Contains(last, "service-495") {
		t.Errorf("a failure of a service that is not listed got no reply: %s", last)
	}
}

func TestGroupsOfTwoFleetsAreApart(t *testing.T) {
	d := newDesk(t)
	other := group(0, 0, history.Created, "", "")
	other.Fleet, other.Key = "bank", "other"
	d.tell(group(0, 0, history.Created, "", ""), other)
	if n := len(d.server.Messages()); n != 2 {
		t.Errorf("%d messages, want 2", n)
	}
}

// TestWhatPeopleDo is about events that name their Release and not its group, as those that people cause do.
func TestWhatPeopleDo(t *testing.T) {
	d := newDesk(t)
	held := func(service, minute int, kind history.Kind) history.Event {
		e := group(service, minute, kind, "production", "wait for the database")
		e.Group, e.By = "", "alice@example.com"
		return e
	}
	d.tell(group(0, 0, history.Created, "", ""), group(1, 0, history.Created, "", ""), group(0, 1, history.Waiting, "production", ""))
	d.tell(held(0, 2, history.Held))
	m := d.only()
	if replies := d.server.Replies(m.TS); len(replies) != 2 || !strings.Contains(m.Text, "service-000 in production is held") {
		t.Errorf("%s, with %d replies", m.Text, len(replies))
	}
	// When the Release is through, nobody looks at its message any more. Nor is there one of a Release that nothing was said of.
	d.tell(group(1, 3, history.Done, "", ""), held(1, 4, history.Pinned), held(2, 5, history.Held), held(2, 5, history.Held))
	messages := d.server.Messages()
	if len(messages) != 3 || !strings.Contains(messages[1].Text, "service-001 in production: pinned by alice@example.com") || !strings.Contains(messages[2].Text, "service-002 in production: held") {
		t.Errorf("got %+v", messages)
	}
}

// TestAMessageIsRememberedInBounds fills a message with everything that events may hold.
func TestAMessageIsRememberedInBounds(t *testing.T) {
	d := newDesk(t)
	rng := rand.New(rand.NewPCG(1, 2))
	noise := func() string {
		b := make([]byte, 200)
		for i := range b {
			b[i] = byte('a' + rng.IntN(26))
		}
		return string(b)
	}
	var list []history.Event
	for range 130 {
		e := group(0, 0, history.Waiting, "", "")
		e.Service, e.Release = noise(), noise()
		for j := range 5 {
			e.Environment, e.Key, e.By, e.Why = fmt.Sprintf("tenant-%d", j), noise(), noise(), noise()
			list = append(list, e)
		}
	}
	d.tell(list...)
	if m := d.only(); !strings.Contains(m.Text, "more than") {
		t.Errorf("nothing was forgotten: %s", m.Text)
	}
}

func TestAnEventWithoutARelease(t *testing.T) {
	d := newDesk(t)
	e := happening(0, history.Pinned, "develop", "the branch of a colleague is tried until 18:00")
	e.Release, e.By, e.Loud = "", "alice@example.com", true
	d.tell(e)
	d.tell(e)
	m := d.only()
	golden(t, "pinned", m, d.server.Replies(m.TS))
}

func TestNoButtonWithoutSense(t *testing.T) {
	for name, tc := range map[string]struct {
		events []history.Event
		want   string
	}{
		"made":        {[]history.Event{happening(0, history.Created, "", "")}, ""},
		"waiting":     {[]history.Event{happening(0, history.Waiting, "production", "")}, "approve:production hold:production"},
		"two waiting": {[]history.Event{happening(0, history.Waiting, "tenant-a", ""), happening(1, history.Waiting, "tenant-b", "")}, "approve:tenant-a approve:tenant-b hold:tenant-b"},
		"approved":    {[]history.Event{happening(0, history.Waiting, "production", ""), happening(1, history.Approved, "production", "")}, "hold:production"},
		"running":     {[]history.Event{happening(0, history.Done, "staging", ""), happening(1, history.Started, "production", "")}, "hold:production rollback:production"},
		"at once":     {[]history.Event{happening(0, history.Done, "staging", ""), happening(0, history.Done, "production", "")}, "rollback:production"},
		"done":        {[]history.Event{happening(0, history.Done, "production", ""), happening(1, history.Done, "", "")}, "rollback:production"},
		"failed":      {[]history.Event{happening(0, history.Failed, "production", "")}, ""},
		"rolled back": {[]history.Event{happening(0, history.Done, "production", ""), happening(1, history.RolledBack, "production", "")}, ""},
		"held":        {[]history.Event{happening(0, history.Waiting, "production", ""), happening(1, history.Held, "production", "")}, ""},
		"resumed":     {[]history.Event{happening(0, history.Waiting, "production", ""), happening(1, history.Held, "production", ""), happening(2, history.Resumed, "production", "")}, "approve:production hold:production"},
		"superseded":  {[]history.Event{happening(0, history.Waiting, "production", ""), happening(1, history.Superseded, "", "")}, ""},
		"aborted":     {[]history.Event{happening(0, history.Waiting, "production", ""), happening(1, history.Aborted, "", "")}, ""},
		"group": {
			[]history.Event{group(0, 0, history.Done, "develop", ""), group(1, 1, history.Waiting, "production", ""), group(0, 2, history.Waiting, "production", "")},
			"approve:production hold:production",
		},
	} {
		t.Run(name, func(t *testing.T) {
			d := newDesk(t)
			d.tell(tc.events...)
			var blocks []struct {
				Elements []struct {
					ActionID string `json:"action_id"`
					Value    string
				}
			}
			if err := json.Unmarshal([]byte(d.only().Blocks), &blocks); err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, b := range blocks {
				for _, e := range b.Elements {
					if id, ok := strings.CutPrefix(e.ActionID, "sengu."); ok {
						got = append(got, id)
						want := `{"f":"shop","s":"checkout","r":"checkout-1","e":"`
						if name == "group" {
							want = `{"f":"shop","g":"shop-0123456","e":"`
						}
						if !strings.HasPrefix(e.Value, want) {
							t.Errorf("value %s", e.Value)
						}
					}
				}
			}
			if diff := cmp.Diff(tc.want, strings.Join(got, " ")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestHostileText lets strangers write in every field, at every length.
func TestHostileText(t *testing.T) {
	hostile := []string{
		"<!channel> <!here> <!everyone> <@U0123456789> <!subteam^S012345|x> <#C0123456789> @here @channel",
		"<https://evil.example.com|approve> https://evil.example.com *bold* _it_ ~no~ `code` :fire: &lt;!channel&gt;",
		"line\nbreak\r\n\x00\x1b[31m\u202egnp.exe\u2066", strings.Repeat("<!channel>&*_", 300), strings.Repeat("日本語", 2000), "\xff\xfe", "", " ",
		strings.Repeat("&", 4000), strings.Repeat("\u0300", 3000), "```", "> quote", "• list",
	}
	for i, text := range hostile {
		for _, many := range []bool{false, true} {
			t.Run(fmt.Sprintf("%d, many %t", i, many), func(t *testing.T) {
				d := newDesk(t)
				for n, kind := range []history.Kind{history.Created, history.Waiting, history.Approved, history.Failed, history.Held, history.JobFinished, history.Done, "unheard-of"} {
					e := happening(n, kind, text, text)
					e.Title, e.Author, e.By, e.Revision, e.Fleet = text, text, text, text, text
					e.Images = []history.Image{{Name: text, Tag: text, Digest: text}}
					e.Key = fmt.Sprintf("hostile/%d", n)
					if many {
						e.Service, e.Release, e.Group = fmt.Sprintf("%s%d", text, n%3), fmt.Sprintf("r%d", n%3), "g"
					} else {
						e.Service = text
					}
					d.tell(e)
				}
				// A hold may have a message of its own.
				if n := len(d.server.Messages()); n < 1 || n > 2 {
					t.Errorf("%d messages", n)
				}
			})
		}
	}
}

func TestManyEnvironmentsAndImages(t *testing.T) {
	d := newDesk(t)
	e := happening(0, history.Created, "", "")
	for i := range 100 {
		e.Images = append(e.Images, history.Image{Name: strings.Repeat("x", 200), Tag: fmt.Sprint(i)})
	}
	d.tell(e)
	for i := range 60 {
		d.tell(happening(i, history.Waiting, fmt.Sprintf("tenant-%02d", i), strings.Repeat("why ", 100)))
	}
	if m := d.only(); !strings.Contains(m.Blocks, "and 2 more environments") || strings.Count(m.Blocks, "sengu.approve") != 4 {
		t.Errorf("got %s", m.Blocks)
	}
}

func TestTimesAreShownInTheReadersZone(t *testing.T) {
	d := newDesk(t)
	d.tell(happening(0, history.Waiting, "production", ""))
	if want := fmt.Sprintf("<!date^%d^{date_short_pretty} {time}|2030-04-01 09:00 UTC>", start.Unix()); !strings.Contains(unescaped(d.only().Blocks), want) {
		t.Errorf("%s is not in %s", want, unescaped(d.only().Blocks))
	}
}

func unescaped(blocks string) string {
	return strings.NewReplacer(`\u003c`, "<", `\u003e`, ">", `\u0026`, "&").Replace(blocks)
}

// TestReadOnly shows the message without buttons.
func TestReadOnly(t *testing.T) {
	d := newDesk(t)
	var err error
	d.sink, err = slack.New(slack.Options{
		Token: func(context.Context) (string, error) { return token, nil }, Channel: channel, APIURL: d.server.API(), ReadOnly: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer d.sink.CloseIdleConnections()
	d.tell(happening(0, history.Created, "", ""), happening(1, history.Waiting, "production", "one approval of the group sre"))
	if m := d.server.Messages(); len(m) != 1 || strings.Contains(m[0].Blocks, `"actions"`) || !strings.Contains(m[0].Blocks, "production") {
		t.Errorf("the messages are %+v", m)
	}
}
