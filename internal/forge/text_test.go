package forge_test

import (
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/sengu-dev/sengu/internal/forge"
)

// posted is the text of a comment as it is sent.
func posted(t *testing.T, kind forge.Kind, text string) string {
	t.Helper()
	var sent struct{ Body string }
	f := against(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodGet {
			_, _ = io.WriteString(w, `[]`)
			return
		}
		if err := json.NewDecoder(r.Body).Decode(&sent); err != nil {
			t.Error(err)
		}
		_, _ = io.WriteString(w, `{}`)
	}, func(c *forge.Config) { c.Kind = kind })
	if _, err := f.EnsureComment(t.Context(), 1, "plan", text); err != nil {
		t.Fatal(err)
	}
	return sent.Body
}

func TestCommentIsCut(t *testing.T) {
	const marker = "<!-- sengu:plan -->\n"
	whole := 65536 - len(marker)
	for name, tc := range map[string]struct {
		text string
		cut  bool
	}{
		"it just fits":      {strings.Repeat("x", whole), false},
		"one too many":      {strings.Repeat("x", whole+1), true},
		"characters":        {strings.Repeat("宮", whole), false},
		"too many of them":  {strings.Repeat("宮", whole+1), true},
		"lines":             {"```diff\n" + strings.Repeat("+ image: registry.example.com/shop/checkout:1.4.0\n", 3000) + "```", true},
		"blanks at the end": {strings.Repeat("x", whole) + "\r\n\r\n", false},
		"what is no text":   {"a\xffb", false},
	} {
		t.Run(name, func(t *testing.T) {
			got := posted(t, forge.GitHub, tc.text)
			if !strings.HasPrefix(got, marker) {
				t.Fatalf("it begins with %q", got[:30])
			}
			if n := utf8.RuneCountInString(got); n > 65536 || !utf8.ValidString(got) {
				t.Errorf("%d characters, valid %t", n, utf8.ValidString(got))
			}
			// At the top: at the end, it would be part of a block that the cut left open.
			if says := strings.HasPrefix(got, marker+"> **This was cut"); says != tc.cut {
				t.Errorf("it says that it was cut: %t, want %t", says, tc.cut)
			}
			if strings.Contains(tc.text, "\n+") && !strings.HasSuffix(got, "checkout:1.4.0") {
				t.Errorf("it is cut within a line: %q", got[len(got)-60:])
			}
		})
	}
}

// TestNoOrders looks that nothing which others wrote is an order to GitLab, which runs a line such as /merge with our
// rights, and drops every carriage return before it looks.
func TestNoOrders(t *testing.T) {
	for _, text := range []string{
		"/merge", "\n\n/approve", "a\n/merge\n/approve\nb", "a\r/merge", "a\n\r/merge", "a\r\n\r\r/merge", "  /merge",
		"```\n/merge\n```", ">>>\n/merge", "\x00/merge", strings.Repeat("x", 1000000) + "\n/merge",
	} {
		got := posted(t, forge.GitLab, text)
		for line := range strings.Lines(strings.ReplaceAll(got, "\r", "")) {
			if strings.HasPrefix(line, "/") {
				t.Errorf("%.50q has the order %q", text, line)
			}
		}
		if again := posted(t, forge.GitLab, strings.TrimPrefix(got, "<!-- sengu:plan -->\n")); len(text) < 100 && again != got {
			t.Errorf("%q becomes another text each time: %q, %q", text, got, again)
		}
	}
	if got := posted(t, forge.GitLab, "see a/b\n\\/x"); !strings.HasSuffix(got, "see a/b\n\\/x") {
		t.Errorf("other slashes are changed: %q", got)
	}
}

func TestMarkers(t *testing.T) {
	f := against(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s %s was sent", r.Method, r.URL) }, nil)
	for _, bad := range []string{"", "a b", "a--b", "-", "a-", "x-->", "a\nb", strings.Repeat("x", 101), "宮"} {
		if _, err := f.EnsureComment(t.Context(), 1, bad, "text"); err == nil {
			t.Errorf("the marker %q was taken", bad)
		}
	}
}

func TestProposals(t *testing.T) {
	f := against(t, func(_ http.ResponseWriter, r *http.Request) { t.Errorf("%s %s was sent", r.Method, r.URL) }, nil)
	for name, p := range map[string]forge.Proposal{
		"no head":        {Base: "main", Title: "t"},
		"no base":        {Head: "x", Title: "t"},
		"no title":       {Head: "x", Base: "main", Title: " \n"},
		"into itself":    {Head: "main", Base: "main", Title: "t"},
		"an empty label": {Head: "x", Base: "main", Title: "t", Labels: []string{""}},
		"two labels":     {Head: "x", Base: "main", Title: "t", Labels: []string{"a,b"}},
		"a long label":   {Head: "x", Base: "main", Title: "t", Labels: []string{strings.Repeat("x", 51)}},
	} {
		if _, err := f.EnsurePullRequest(t.Context(), p); err == nil {
			t.Errorf("%s was taken", name)
		}
	}
	for name, s := range map[string]forge.Status{
		"no state":     {Context: "x"},
		"no context":   {State: forge.StatusPending},
		"two lines":    {State: forge.StatusPending, Context: "a\nb"},
		"a script":     {State: forge.StatusPending, Context: "x", TargetURL: "javascript:alert(1)"},
		"a credential": {State: forge.StatusPending, Context: "x", TargetURL: "https://u:p@example.com"},
		"a path":       {State: forge.StatusPending, Context: "x", TargetURL: "/plan"},
	} {
		if err := f.SetStatus(t.Context(), strings.Repeat("a", 40), s); err == nil {
			t.Errorf("a status with %s was taken", name)
		}
	}
	for name, d := range map[string]forge.Deployment{
		"no state":       {SHA: strings.Repeat("a", 40), Environment: "x"},
		"no environment": {SHA: strings.Repeat("a", 40), State: forge.DeploymentSuccess},
		"no commit":      {Environment: "x", State: forge.DeploymentSuccess},
		"a bad link":     {SHA: strings.Repeat("a", 40), Environment: "x", State: forge.DeploymentSuccess, LogURL: "ftp://x"},
	} {
		if err := f.SetDeployment(t.Context(), d); err == nil {
			t.Errorf("a deployment with %s was taken", name)
		}
	}
}
