package forge_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/internal/forge"
)

const (
	secret = "correct horse battery staple"
	sha1s  = "1111111111111111111111111111111111111111"
)

func hmacHex(key, body string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

// hubBody is what GitHub and Gitea send.
func hubBody(action string, merged bool, headRepo string) string {
	return fmt.Sprintf(`{"action":%q,"number":7,"pull_request":{"number":7,"state":"open","merged":%t,
		"head":{"ref":"sengu/checkout","sha":%q,"repo":%s},"base":{"ref":"main","sha":%q,"repo":{"full_name":"shop/manifests"}}},
		"repository":{"full_name":"shop/manifests","clone_url":"https://git.example.com/shop/manifests.git",
		"ssh_url":"git@git.example.com:shop/manifests.git","html_url":"https://git.example.com/shop/manifests"},"sender":{"login":"x"}}`,
		action, merged, sha1s, headRepo, sha1s)
}

func gitLabBody(action, more string) string {
	return fmt.Sprintf(`{"object_kind":"merge_request","user":{"username":"x"},"project":{"path_with_namespace":"shop/manifests",
		"git_http_url":"https://git.example.com/shop/manifests.git","git_ssh_url":"git@git.example.com:shop/manifests.git",
		"web_url":"https://git.example.com/shop/manifests"},"object_attributes":{"iid":7,"action":%q,"source_branch":"sengu/checkout",
		"target_branch":"main","source_project_id":14,"target_project_id":14,"last_commit":{"id":%q}%s}}`, action, sha1s, more)
}

const own = `{"full_name":"Shop/Manifests"}`

func TestParsePullRequestEvent(t *testing.T) {
	event := func(kind forge.Kind, action forge.Action) forge.Event {
		return forge.Event{
			Kind: kind, Action: action, Repository: "shop/manifests", Number: 7, Head: "sengu/checkout", HeadSHA: sha1s, Base: "main",
			URLs: []string{"https://git.example.com/shop/manifests.git", "git@git.example.com:shop/manifests.git", "https://git.example.com/shop/manifests"},
		}
	}
	forked := func(e forge.Event) forge.Event { e.Fork = true; return e }
	github := func(event, body string) http.Header {
		return http.Header{"X-Github-Event": {event}, "X-Hub-Signature-256": {"sha256=" + hmacHex(secret, body)}}
	}
	gitea := func(event, body string) http.Header {
		return http.Header{"X-Gitea-Event": {event}, "X-Github-Event": {event}, "X-Gitea-Signature": {hmacHex(secret, body)}}
	}
	gitlab := func(event string) http.Header {
		return http.Header{"X-Gitlab-Event": {event}, "X-Gitlab-Token": {secret}}
	}
	type test struct {
		header http.Header
		body   string
		want   forge.Event
		err    error
	}
	tests := map[string]test{}
	for action, want := range map[string]forge.Action{
		"opened": forge.ActionOpened, "synchronize": forge.ActionPushed, "synchronized": forge.ActionPushed, "edited": forge.ActionEdited,
		"reopened": forge.ActionReopened, "closed": forge.ActionClosed, "ready_for_review": forge.ActionEdited,
	} {
		body := hubBody(action, false, own)
		tests["github "+action] = test{header: github("pull_request", body), body: body, want: event(forge.GitHub, want)}
		tests["gitea "+action] = test{header: gitea("pull_request", body), body: body, want: event(forge.Gitea, want)}
	}
	for action, want := range map[string]forge.Action{
		"open": forge.ActionOpened, "update": forge.ActionEdited, "close": forge.ActionClosed, "merge": forge.ActionMerged,
		"reopen": forge.ActionReopened, "approved": forge.ActionReviewed, "unapproval": forge.ActionReviewed,
	} {
		tests["gitlab "+action] = test{header: gitlab("Merge Request Hook"), body: gitLabBody(action, ""), want: event(forge.GitLab, want)}
	}
	add := func(name string, h http.Header, body string, want forge.Event, err error) {
		tests[name] = test{h, body, want, err}
	}
	merged, gone, labeled, review := hubBody("closed", true, own), hubBody("opened", false, "null"), hubBody("labeled", false, own), hubBody("submitted", false, own)
	add("merged", github("pull_request", merged), merged, event(forge.GitHub, forge.ActionMerged), nil)
	add("of a fork", gitea("pull_request", gone), gone, forked(event(forge.Gitea, forge.ActionOpened)), nil)
	add("a label", github("pull_request", labeled), labeled, forge.Event{}, forge.ErrWebhookIgnored)
	add("a review", github("pull_request_review", review), review, event(forge.GitHub, forge.ActionReviewed), nil)
	reviewed := hubBody("reviewed", false, own)
	add("an approval of gitea", gitea("pull_request_approved", reviewed), reviewed, event(forge.Gitea, forge.ActionReviewed), nil)
	add("a push", github("push", "{}"), "{}", forge.Event{}, forge.ErrWebhookIgnored)
	pushed := gitLabBody("update", `,"oldrev":"`+sha1s+`"`)
	add("commits on gitlab", gitlab("Merge Request Hook"), pushed, event(forge.GitLab, forge.ActionPushed), nil)
	system := gitLabBody("open", `,"source_project_id":15`)
	add("a fork on gitlab, by a system hook", gitlab("System Hook"), system, forked(event(forge.GitLab, forge.ActionOpened)), nil)
	add("a push on gitlab", gitlab("Push Hook"), "{}", forge.Event{}, forge.ErrWebhookIgnored)

	opened := hubBody("opened", false, own)
	form := "payload=" + url.QueryEscape(opened)
	h := github("pull_request", form)
	h.Set("Content-Type", "application/x-www-form-urlencoded")
	add("a form", h, form, event(forge.GitHub, forge.ActionOpened), nil)
	empty := github("pull_request", "payload=")
	empty.Set("Content-Type", "application/x-www-form-urlencoded")
	add("an empty form", empty, "payload=", forge.Event{}, forge.ErrWebhookMalformed)

	add("changed", github("pull_request", opened), opened+" ", forge.Event{}, forge.ErrWebhookSignature)
	add("unsigned", http.Header{"X-Github-Event": {"pull_request"}}, opened, forge.Event{}, forge.ErrWebhookSignature)
	add("another hash", http.Header{"X-Github-Event": {"pull_request"}, "X-Hub-Signature": {"sha1=00"}}, opened, forge.Event{}, forge.ErrWebhookSignature)
	add("an empty signature", http.Header{"X-Github-Event": {"pull_request"}, "X-Hub-Signature-256": {"sha256="}}, opened, forge.Event{}, forge.ErrWebhookSignature)
	add("that of an empty secret", http.Header{"X-Gitea-Event": {"pull_request"}, "X-Gitea-Signature": {hmacHex("", opened)}}, opened, forge.Event{}, forge.ErrWebhookSignature)
	add("gitea's sender, github's signature", http.Header{"X-Gitea-Event": {"pull_request"}, "X-Hub-Signature-256": {"sha256=" + hmacHex(secret, opened)}}, opened, forge.Event{}, forge.ErrWebhookSignature)
	add("another token", http.Header{"X-Gitlab-Event": {"Merge Request Hook"}, "X-Gitlab-Token": {secret + "x"}}, gitLabBody("open", ""), forge.Event{}, forge.ErrWebhookSignature)
	add("no token", http.Header{"X-Gitlab-Event": {"Merge Request Hook"}}, gitLabBody("open", ""), forge.Event{}, forge.ErrWebhookSignature)
	add("no sender", http.Header{"X-Hub-Signature-256": {"sha256=" + hmacHex(secret, opened)}}, opened, forge.Event{}, forge.ErrWebhookSignature)
	add("too large", github("pull_request", ""), strings.Repeat(" ", forge.WebhookLimit+1), forge.Event{}, forge.ErrWebhookTooLarge)
	add("not JSON", github("pull_request", "x"), "x", forge.Event{}, forge.ErrWebhookMalformed)
	nothing := `{"action":"opened"}`
	add("nothing in it", github("pull_request", nothing), nothing, forge.Event{}, forge.ErrWebhookMalformed)
	badSHA := strings.ReplaceAll(opened, sha1s, "HEAD")
	add("no commit", github("pull_request", badSHA), badSHA, forge.Event{}, forge.ErrWebhookMalformed)

	standard := gitLabBody("open", "")
	mac := hmac.New(sha256.New, []byte(secret))
	mac.Write([]byte("id1.1700000000." + standard))
	add("standard webhooks", http.Header{
		"X-Gitlab-Event": {"Merge Request Hook"}, "Webhook-Id": {"id1"}, "Webhook-Timestamp": {"1700000000"},
		"Webhook-Signature": {"v1,AAAA v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))},
	}, standard, event(forge.GitLab, forge.ActionOpened), nil)

	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			got, err := forge.ParsePullRequestEvent(tc.header, []byte(tc.body), nil, []byte("another"), []byte(secret))
			if !errors.Is(err, tc.err) || (err == nil) != (tc.err == nil) {
				t.Fatalf("got error %v, want %v", err, tc.err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
	if _, err := forge.ParsePullRequestEvent(github("pull_request", opened), []byte(opened), nil, []byte{}); !errors.Is(err, forge.ErrWebhookSecret) {
		t.Errorf("without a secret: %v", err)
	}
}

// TestGiteaWebhooks has a real Gitea announce what happens to a pull request.
func TestGiteaWebhooks(t *testing.T) {
	s := realGitea(t)
	w := newWorld(t, s)
	type delivery struct {
		event forge.Event
		err   error
		what  string
	}
	deliveries := make(chan delivery, 100)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		event, err := forge.ParsePullRequestEvent(r.Header, body, []byte(secret))
		deliveries <- delivery{event, err, r.Header.Get("X-Gitea-Event-Type")}
		if _, wrong := forge.ParsePullRequestEvent(r.Header, body, []byte(secret+"x")); !errors.Is(wrong, forge.ErrWebhookSignature) {
			t.Errorf("with another secret: %v", wrong)
		}
	}))
	defer receiver.Close()
	s.Webhook(t, w.repo, receiver.URL, secret, "push", "pull_request", "pull_request_sync", "pull_request_review", "pull_request_label", "pull_request_comment")
	expect := func(want forge.Event) {
		t.Helper()
		deadline := time.After(time.Minute)
		for {
			select {
			case d := <-deliveries:
				switch {
				case errors.Is(d.err, forge.ErrWebhookIgnored):
					continue
				case d.err != nil:
					t.Fatalf("%s: %v", d.what, d.err)
				}
				if diff := cmp.Diff(want, d.event); diff != "" {
					t.Errorf("%s: %s", d.what, diff)
				}
				return
			case <-deadline:
				t.Fatalf("nothing announces %s", want.Action)
			}
		}
	}

	sha := w.Branch(t, "sengu/checkout")
	f, err := forge.New(w.Config())
	if err != nil {
		t.Fatal(err)
	}
	propose := func(title string) forge.PullRequest {
		t.Helper()
		pr, err := f.EnsurePullRequest(t.Context(), forge.Proposal{Head: "sengu/checkout", Base: "main", Title: title, Labels: []string{"staging"}})
		if err != nil {
			t.Fatal(err)
		}
		return pr
	}
	pr := propose("one")
	want := forge.Event{
		Kind: forge.Gitea, Action: forge.ActionOpened, Repository: w.repo.FullName(), Number: pr.Number,
		Head: "sengu/checkout", HeadSHA: sha, Base: "main",
		URLs: []string{w.repo.URL, sshURL(t, w), s.URL + "/" + w.repo.FullName()},
	}
	expect(want)
	propose("two")
	want.Action = forge.ActionEdited
	expect(want)
	want.Action, want.HeadSHA = forge.ActionPushed, s.Commit(t, w.repo, "sengu/checkout", "more.yaml", "a: 1\n")
	expect(want)
	w.Approve(t, pr.Number)
	want.Action = forge.ActionReviewed
	expect(want)
	if _, err := f.ClosePullRequest(t.Context(), pr.Number); err != nil {
		t.Fatal(err)
	}
	want.Action = forge.ActionClosed
	expect(want)
	s.Call(t, w.owner.Token, http.MethodPatch, fmt.Sprintf("%s/pulls/%d", w.repo.API, pr.Number), map[string]string{"state": "open"}, nil)
	want.Action = forge.ActionReopened
	expect(want)
	w.Merge(t, pr.Number)
	want.Action = forge.ActionMerged
	expect(want)
}

func sshURL(t *testing.T, w *world) string {
	t.Helper()
	var repo struct {
		SSH string `json:"ssh_url"`
	}
	w.server.Call(t, w.owner.Token, http.MethodGet, w.repo.API, nil, &repo)
	return repo.SSH
}

func FuzzParsePullRequestEvent(f *testing.F) {
	for i, body := range []string{hubBody("opened", false, own), hubBody("closed", true, "null"), gitLabBody("open", ""), `{}`, `[]`, `null`, `{"pull_request":null}`} {
		f.Add(i%3, "pull_request", "", body)
		f.Add(2, "Merge Request Hook", "application/x-www-form-urlencoded", "payload="+url.QueryEscape(body))
	}
	f.Fuzz(func(t *testing.T, sender int, event, contentType, body string) {
		h := http.Header{"Content-Type": {contentType}}
		switch sender % 3 {
		case 0:
			h.Set("X-GitHub-Event", event)
			h.Set("X-Hub-Signature-256", "sha256="+hmacHex(secret, body))
		case 1:
			h.Set("X-Gitea-Event", event)
			h.Set("X-Gitea-Signature", hmacHex(secret, body))
		default:
			h.Set("X-Gitlab-Event", event)
			h.Set("X-Gitlab-Token", secret)
		}
		got, err := forge.ParsePullRequestEvent(h, []byte(body), []byte(secret))
		if err != nil {
			if diff := cmp.Diff(forge.Event{}, got); diff != "" {
				t.Errorf("an error and %s", diff)
			}
			return
		}
		if got.Number <= 0 || got.Repository == "" || got.Head == "" || got.Base == "" || got.Action == "" || len(got.URLs) == 0 {
			data, _ := json.Marshal(got)
			t.Errorf("it passes with holes: %s", data)
		}
		h.Del("X-Hub-Signature-256")
		h.Del("X-Gitea-Signature")
		h.Del("X-Gitlab-Token")
		if _, err := forge.ParsePullRequestEvent(h, []byte(body), []byte(secret)); !errors.Is(err, forge.ErrWebhookSignature) {
			t.Errorf("unsigned it gives %v", err)
		}
	})
}
