package gitrepo_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/internal/gitrepo"
)

const (
	secret = "correct horse battery staple"
	before = "1111111111111111111111111111111111111111"
	after  = "2222222222222222222222222222222222222222"
	zeros  = "0000000000000000000000000000000000000000"
)

func hmacHex(key, body string) string {
	mac := hmac.New(sha256.New, []byte(key))
	mac.Write([]byte(body))
	return hex.EncodeToString(mac.Sum(nil))
}

const (
	gitHubBody    = `{"ref":"refs/heads/main","before":"` + before + `","after":"` + after + `","repository":{"clone_url":"https://github.com/Shop/manifests.git","ssh_url":"git@github.com:Shop/manifests.git","html_url":"https://github.com/Shop/manifests"}}`
	gitLabBody    = `{"object_kind":"push","ref":"refs/heads/main","before":"` + before + `","after":"` + after + `","project":{"git_http_url":"https://gitlab.example.com/shop/manifests.git","git_ssh_url":"git@gitlab.example.com:shop/manifests.git","web_url":"https://gitlab.example.com/shop/manifests"}}`
	bitbucketBody = `{"push":{"changes":[{"old":{"type":"branch","name":"main","target":{"hash":"` + before + `"}},"new":{"type":"branch","name":"main","target":{"hash":"` + after + `"}}}]},"repository":{"links":{"html":{"href":"https://bitbucket.org/shop/manifests"},"self":{"href":"https://api.bitbucket.org/2.0/repositories/shop/manifests"}}}}`
	serverBody    = `{"changes":[{"ref":{"id":"refs/heads/main"},"fromHash":"` + before + `","toHash":"` + after + `"}],"repository":{"links":{"clone":[{"href":"https://bb.example.com/scm/shop/manifests.git"},{"href":"ssh://git@bb.example.com:7999/shop/manifests.git"}],"self":[{"href":"https://bb.example.com/projects/SHOP/repos/manifests/browse"}]}}}`
	genericBody   = `{"repository":"https://git.example.com/shop/manifests.git","branch":"main","after":"` + after + `"}`
)

func TestParseWebhook(t *testing.T) {
	main := func(urls ...string) gitrepo.Push {
		return gitrepo.Push{URLs: urls, Branch: "main", Before: before, After: after}
	}
	github := main("github.com/shop/manifests")
	standard := hmac.New(sha256.New, []byte(secret))
	standard.Write([]byte("id1.1700000000." + gitLabBody))
	tests := map[string]struct {
		header map[string]string
		body   string
		want   gitrepo.Push
		err    error
	}{
		"github":            {header: map[string]string{"X-GitHub-Event": "push", "X-Hub-Signature-256": "sha256=" + hmacHex(secret, gitHubBody)}, body: gitHubBody, want: github},
		"github, old":       {header: map[string]string{"X-GitHub-Event": "push", "X-Hub-Signature": "sha1=00"}, body: gitHubBody, err: gitrepo.ErrWebhookSignature},
		"github, wrong":     {header: map[string]string{"X-GitHub-Event": "push", "X-Hub-Signature-256": "sha256=" + hmacHex("x", gitHubBody)}, body: gitHubBody, err: gitrepo.ErrWebhookSignature},
		"github, unsigned":  {header: map[string]string{"X-GitHub-Event": "push"}, body: gitHubBody, err: gitrepo.ErrWebhookSignature},
		"github, empty":     {header: map[string]string{"X-GitHub-Event": "push", "X-Hub-Signature-256": "sha256="}, body: gitHubBody, err: gitrepo.ErrWebhookSignature},
		"github, ping":      {header: map[string]string{"X-GitHub-Event": "ping", "X-Hub-Signature-256": "sha256=" + hmacHex(secret, `{}`)}, body: `{}`, err: gitrepo.ErrIgnored},
		"github, bad ping":  {header: map[string]string{"X-GitHub-Event": "ping"}, body: `{}`, err: gitrepo.ErrWebhookSignature},
		"gitea":             {header: map[string]string{"X-Gitea-Event": "push", "X-GitHub-Event": "push", "X-Gitea-Signature": hmacHex(secret, gitHubBody)}, body: gitHubBody, want: github},
		"gitlab":            {header: map[string]string{"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": secret}, body: gitLabBody, want: main("gitlab.example.com/shop/manifests")},
		"gitlab, signed":    {header: map[string]string{"X-Gitlab-Event": "Push Hook", "Webhook-Id": "id1", "Webhook-Timestamp": "1700000000", "Webhook-Signature": "v1,AAAA v1," + base64.StdEncoding.EncodeToString(standard.Sum(nil))}, body: gitLabBody, want: main("gitlab.example.com/shop/manifests")},
		"gitlab, wrong":     {header: map[string]string{"X-Gitlab-Event": "Push Hook", "X-Gitlab-Token": secret + "x"}, body: gitLabBody, err: gitrepo.ErrWebhookSignature},
		"gitlab, tag":       {header: map[string]string{"X-Gitlab-Event": "Tag Push Hook", "X-Gitlab-Token": secret}, body: gitLabBody, err: gitrepo.ErrIgnored},
		"bitbucket":         {header: map[string]string{"X-Event-Key": "repo:push", "X-Hub-Signature": "sha256=" + hmacHex(secret, bitbucketBody)}, body: bitbucketBody, want: main("api.bitbucket.org/2.0/repositories/shop/manifests", "bitbucket.org/shop/manifests")},
		"bitbucket, server": {header: map[string]string{"X-Event-Key": "repo:refs_changed", "X-Hub-Signature": "sha256=" + hmacHex(secret, serverBody)}, body: serverBody, want: main("bb.example.com/projects/shop/repos/manifests", "bb.example.com/scm/shop/manifests", "bb.example.com/shop/manifests")},
		"generic":           {header: map[string]string{"X-Sengu-Signature": "sha256=" + hmacHex(secret, genericBody)}, body: genericBody, want: gitrepo.Push{URLs: []string{"git.example.com/shop/manifests"}, Branch: "main", After: after}},
		"generic, hex only": {header: map[string]string{"X-Sengu-Signature": hmacHex(secret, genericBody)}, body: genericBody, err: gitrepo.ErrWebhookSignature},
		"no sender":         {body: genericBody, err: gitrepo.ErrWebhookSignature},
		"not JSON":          {header: map[string]string{"X-Sengu-Signature": "sha256=" + hmacHex(secret, "x")}, body: "x", err: gitrepo.ErrWebhookMalformed},
		"no repository":     {header: map[string]string{"X-Sengu-Signature": "sha256=" + hmacHex(secret, `{"branch":"main"}`)}, body: `{"branch":"main"}`, err: gitrepo.ErrWebhookMalformed},
		"a bad branch":      {header: map[string]string{"X-Sengu-Signature": "sha256=" + hmacHex(secret, `{"repository":"https://a/b","branch":"--upload-pack=x"}`)}, body: `{"repository":"https://a/b","branch":"--upload-pack=x"}`, err: gitrepo.ErrWebhookMalformed},
		"too large":         {header: map[string]string{"X-Sengu-Signature": "sha256=00"}, body: strings.Repeat("x", 5000), err: gitrepo.ErrWebhookTooLarge},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			for _, chunked := range []bool{false, true} {
				r := httptest.NewRequest(http.MethodPost, "/hooks", strings.NewReader(tc.body))
				if chunked {
					r.ContentLength = -1
				}
				for k, v := range tc.header {
					r.Header.Set(k, v)
				}
				got, err := gitrepo.ParseWebhook(r, [][]byte{[]byte("another"), []byte(secret)}, 4096)
				if !errors.Is(err, tc.err) || (err == nil) != (tc.err == nil) {
					t.Fatalf("got error %v, want %v", err, tc.err)
				}
				if diff := cmp.Diff(tc.want, got); diff != "" {
					t.Error(diff)
				}
			}
		})
	}
}

func TestParseWebhookForm(t *testing.T) {
	body := "payload=" + url.QueryEscape(gitHubBody)
	r := httptest.NewRequest(http.MethodPost, "/hooks", strings.NewReader(body))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("X-GitHub-Event", "push")
	r.Header.Set("X-Hub-Signature-256", "sha256="+hmacHex(secret, body))
	push, err := gitrepo.ParseWebhook(r, [][]byte{[]byte(secret)}, 0)
	if err != nil {
		t.Fatal(err)
	}
	for url, want := range map[string]bool{
		"https://github.com/shop/manifests.git": true, "git@github.com:shop/manifests": true,
		"ssh://git@github.com:22/shop/manifests.git": true, "https://github.com/shop/other": false,
	} {
		if got := push.Concerns(url, "main"); got != want {
			t.Errorf("Concerns(%s) = %t, want %t", url, got, want)
		}
	}
	if push.Concerns("https://github.com/shop/manifests", "develop") {
		t.Error("another branch is concerned")
	}
}

func TestParseWebhookNeedsASecret(t *testing.T) {
	for _, secrets := range [][][]byte{nil, {{}}} {
		r := httptest.NewRequest(http.MethodPost, "/hooks", strings.NewReader(genericBody))
		r.Header.Set("X-Sengu-Signature", "sha256="+hmacHex("", genericBody))
		if _, err := gitrepo.ParseWebhook(r, secrets, 0); !errors.Is(err, gitrepo.ErrWebhookSecret) {
			t.Errorf("got %v", err)
		}
	}
}

func TestParseWebhookSeveralBranches(t *testing.T) {
	body := `{"push":{"changes":[{"new":{"type":"branch","name":"a","target":{"hash":"` + after + `"}}},{"old":{"type":"branch","name":"b","target":{"hash":"` + before + `"}},"new":null},{"new":{"type":"tag","name":"v1"}}]},"repository":{"links":{"html":{"href":"https://bitbucket.org/shop/m"}}}}`
	r := httptest.NewRequest(http.MethodPost, "/hooks", strings.NewReader(body))
	r.Header.Set("X-Event-Key", "repo:push")
	r.Header.Set("X-Hub-Signature", "sha256="+hmacHex(secret, body))
	push, err := gitrepo.ParseWebhook(r, [][]byte{[]byte(secret)}, 0)
	if err != nil || push.Branch != "" || !push.Concerns("https://bitbucket.org/shop/m", "a") {
		t.Errorf("got %+v, %v", push, err)
	}
}

func FuzzParseWebhook(f *testing.F) {
	for _, h := range []string{"X-Sengu-Signature", "X-Gitea-Event", "X-GitHub-Event", "X-Gitlab-Event", "X-Event-Key"} {
		for _, b := range []string{gitHubBody, gitLabBody, bitbucketBody, serverBody, genericBody, `{"repository":[]}`, `[`} {
			f.Add(h, "push", b)
			f.Add(h, "repo:push", b)
			f.Add(h, "Push Hook", b)
		}
	}
	f.Fuzz(func(t *testing.T, header, event, body string) {
		r := httptest.NewRequest(http.MethodPost, "/hooks", strings.NewReader(body))
		r.Header[http.CanonicalHeaderKey(header)] = []string{event}
		if _, err := gitrepo.ParseWebhook(r, [][]byte{[]byte(secret)}, 1<<16); err == nil {
			t.Fatal("an unsigned webhook was accepted")
		}
		// And signed, so that the parsers see everything.
		r = httptest.NewRequest(http.MethodPost, "/hooks", strings.NewReader(body))
		r.Header[http.CanonicalHeaderKey(header)] = []string{event}
		for k, prefix := range map[string]string{"X-Gitea-Signature": "", "X-Hub-Signature-256": "sha256=", "X-Hub-Signature": "sha256="} {
			r.Header.Set(k, prefix+hmacHex(secret, body))
		}
		r.Header.Set("X-Gitlab-Token", secret)
		if http.CanonicalHeaderKey(header) == "X-Sengu-Signature" {
			r.Header.Set("X-Sengu-Signature", "sha256="+hmacHex(secret, body))
		}
		push, err := gitrepo.ParseWebhook(r, [][]byte{[]byte(secret)}, 1<<16)
		if err == nil && len(push.URLs) == 0 {
			t.Fatal("a push of no repository")
		}
		if err == nil && strings.HasPrefix(push.Branch, "-") {
			t.Fatalf("branch %q", push.Branch)
		}
	})
}
