package slack_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/internal/notify/slack"
	"github.com/sengu-dev/sengu/internal/notify/slack/slackserver"
)

func TestIdentities(t *testing.T) {
	server := slackserver.New(token, channel, func() time.Time { return start })
	defer server.Close()
	good := slackserver.User{ID: "U0GOOD00001", Team: team, Email: "Carol@Example.com", Confirmed: true}
	server.Know(good)
	for id, change := range map[string]func(*slackserver.User){
		"U0UNCONF001": func(u *slackserver.User) { u.Confirmed = false }, "U0STRANGE01": func(u *slackserver.User) { u.Team = "T0EVIL00001" },
		"U0GUEST0001": func(u *slackserver.User) { u.Guest = true }, "U0GONE00001": func(u *slackserver.User) { u.Deleted = true },
		"U0OTHER0001": func(u *slackserver.User) { u.Email = "mallory@example.com" }, "U0NOMAIL001": func(u *slackserver.User) { u.Email = "" },
	} {
		u := good
		u.ID = id
		change(&u)
		server.Know(u)
	}
	directory, err := slack.NewDirectory(slack.DirectoryOptions{
		Token: func(context.Context) (string, error) { return token, nil }, Team: team, APIURL: server.API(),
	})
	if err != nil {
		t.Fatal(err)
	}
	defer directory.CloseIdleConnections()
	people, err := slack.NewIdentities([]slack.Identity{
		{Slack: alice, User: "alice"}, {Slack: "carol@example.com", User: "carol", Groups: []string{"sre", "shop"}},
	}, directory.Email)
	if err != nil {
		t.Fatal(err)
	}
	for id, want := range map[string]string{
		alice: "alice", good.ID: "carol", "U0UNCONF001": "", "U0STRANGE01": "", "U0GUEST0001": "", "U0GONE00001": "", "U0OTHER0001": "",
		"U0NOMAIL001": "", "U0NOBODY001": "",
	} {
		p, known, err := people.Person(t.Context(), id)
		if err != nil || known != (want != "") || p.User != want {
			t.Errorf("%s: %+v, %t, %v; want %q", id, p, known, err, want)
		}
		if want == "carol" && cmp.Diff([]string{"sre", "shop"}, p.Groups) != "" {
			t.Errorf("groups %v", p.Groups)
		}
	}
	server.Fail(slackserver.Failure{Code: "missing_scope"})
	if _, known, err := people.Person(t.Context(), good.ID); err == nil || known {
		t.Error("without an answer somebody is known")
	}
	if wrong := server.Wrong(); len(wrong) > 0 {
		t.Error(wrong)
	}
}

func TestIdentitiesThatAreRefused(t *testing.T) {
	email := func(context.Context, string) (string, error) { return "", errors.New("never") }
	for name, tc := range map[string]struct {
		list []slack.Identity
		no   bool
		want string
	}{
		"masters":   {list: []slack.Identity{{Slack: alice, User: "alice", Groups: []string{"system:masters"}}}, want: `"system:masters" may be neither a user nor a group`},
		"system":    {list: []slack.Identity{{Slack: alice, User: "system:admin"}}, want: `"system:admin" may be neither`},
		"nobody":    {list: []slack.Identity{{Slack: alice}}, want: `"" may be neither`},
		"a line":    {list: []slack.Identity{{Slack: alice, User: "a\nb"}}, want: `may be neither`},
		"twice":     {list: []slack.Identity{{Slack: "a@example.com", User: "a"}, {Slack: "A@example.com", User: "b"}}, want: "is there twice"},
		"a name":    {list: []slack.Identity{{Slack: "alice", User: "alice"}}, want: "neither the ID of a user of Slack"},
		"no lookup": {list: []slack.Identity{{Slack: "a@example.com", User: "a"}}, no: true, want: "addresses are not looked up here"},
	} {
		t.Run(name, func(t *testing.T) {
			look := email
			if tc.no {
				look = nil
			}
			if _, err := slack.NewIdentities(tc.list, look); err == nil || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("got %v, want %s", err, tc.want)
			}
		})
	}
	if _, err := slack.NewDirectory(slack.DirectoryOptions{Token: func(context.Context) (string, error) { return token, nil }}); err == nil {
		t.Error("a directory without a workspace was made")
	}
}
