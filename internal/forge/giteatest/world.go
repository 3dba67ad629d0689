package giteatest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// User is an account.
type User struct {
	Name, Password string
	// Token may do everything that the user may.
	Token string
}

// Repository is a repository with one commit on its branch main.
type Repository struct {
	Owner User
	Name  string // without the owner
	// URL is where git reads and writes it over HTTP, with a user's name and token.
	URL string
	// API is the path of it in the API.
	API string
}

// FullName is owner/name.
func (r Repository) FullName() string { return r.Owner.Name + "/" + r.Name }

// User makes an account. The name is made unique by a number.
func (s *Server) User(t testing.TB, name string) User {
	t.Helper()
	u := User{Name: s.unique(name), Password: "for-tests-only"}
	s.Call(t, s.admin, http.MethodPost, "/admin/users", map[string]any{
		"username": u.Name, "email": u.Name + "@example.com", "password": u.Password, "must_change_password": false,
	}, nil)
	u.Token = s.Token(t, u, "all")
	return u
}

// Token makes an access token of the user with the scopes, such as "read:repository".
func (s *Server) Token(t testing.TB, u User, scopes ...string) string {
	t.Helper()
	var made struct {
		Token string `json:"sha1"`
	}
	basic := "Basic " + base64.StdEncoding.EncodeToString([]byte(u.Name+":"+u.Password))
	s.call(t, basic, http.MethodPost, "/users/"+u.Name+"/tokens", map[string]any{"name": s.unique("token"), "scopes": scopes}, &made)
	return made.Token
}

// Repository makes a private repository of the user. The name is made unique by a number.
func (s *Server) Repository(t testing.TB, owner User, name string) Repository {
	t.Helper()
	r := Repository{Owner: owner, Name: s.unique(name)}
	r.URL, r.API = s.URL+"/"+r.FullName()+".git", "/repos/"+r.FullName()
	s.Call(t, owner.Token, http.MethodPost, "/user/repos", map[string]any{
		"name": r.Name, "private": true, "auto_init": true, "default_branch": "main",
	}, nil)
	return r
}

// Invite gives the user a permission on the repository: read, write or admin.
func (s *Server) Invite(t testing.TB, r Repository, u User, permission string) {
	t.Helper()
	s.Call(t, r.Owner.Token, http.MethodPut, r.API+"/collaborators/"+u.Name, map[string]any{"permission": permission}, nil)
}

// Fork makes the user's own copy of the repository.
func (s *Server) Fork(t testing.TB, r Repository, u User) Repository {
	t.Helper()
	f := Repository{Owner: u, Name: s.unique(r.Name)}
	f.URL, f.API = s.URL+"/"+f.FullName()+".git", "/repos/"+f.FullName()
	s.Call(t, u.Token, http.MethodPost, r.API+"/forks", map[string]any{"name": f.Name}, nil)
	return f
}

// Commit writes a new file on a branch, which is made from main if there is none, and returns the commit.
func (s *Server) Commit(t testing.TB, r Repository, branch, path, content string) string {
	t.Helper()
	body := map[string]any{
		"message": "write " + path, "content": base64.StdEncoding.EncodeToString([]byte(content)), "branch": branch,
	}
	if !s.exists(t, r.Owner.Token, r.API+"/branches/"+url.PathEscape(branch)) {
		body["branch"], body["new_branch"] = "main", branch
	}
	var made struct {
		Commit struct {
			SHA string `json:"sha"`
		} `json:"commit"`
	}
	s.Call(t, r.Owner.Token, http.MethodPost, r.API+"/contents/"+path, body, &made)
	return made.Commit.SHA
}

// Merge merges a pull request by a merge commit, as the owner, and returns that commit. After a push Gitea finds out
// first whether it can be merged, and wants to be asked again.
func (s *Server) Merge(t testing.TB, r Repository, number int) string {
	t.Helper()
	pull := fmt.Sprintf("%s/pulls/%d", r.API, number)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(startTimeout); ; <-tick.C {
		status, answer := s.request(t, "token "+r.Owner.Token, http.MethodPost, pull+"/merge", map[string]any{"Do": "merge"})
		if status/100 == 2 {
			break
		}
		if status != http.StatusMethodNotAllowed || !strings.Contains(string(answer), "try again later") || time.Now().After(deadline) {
			t.Fatalf("giteatest: merge pull request %d: status %d: %s", number, status, answer)
		}
	}
	var merged struct {
		SHA string `json:"merge_commit_sha"`
	}
	s.Call(t, r.Owner.Token, http.MethodGet, pull, nil, &merged)
	return merged.SHA
}

// Webhook makes the repository announce the events to a URL, signed by the secret.
func (s *Server) Webhook(t testing.TB, r Repository, target, secret string, events ...string) {
	t.Helper()
	s.Call(t, r.Owner.Token, http.MethodPost, r.API+"/hooks", map[string]any{
		"type": "gitea", "active": true, "events": events,
		"config": map[string]string{"url": target, "content_type": "json", "secret": secret},
	}, nil)
}

// Call sends a request to the API with a token, for what has no method here, and fails the test if it is refused. Body
// and into may be nil.
func (s *Server) Call(t testing.TB, token, method, path string, body, into any) {
	t.Helper()
	s.call(t, "token "+token, method, path, body, into)
}

func (s *Server) call(t testing.TB, authorization, method, path string, body, into any) {
	t.Helper()
	status, answer := s.request(t, authorization, method, path, body)
	if status/100 != 2 {
		t.Fatalf("giteatest: %s %s: status %d: %s", method, path, status, answer)
	}
	if into == nil {
		return
	}
	if err := json.Unmarshal(answer, into); err != nil {
		t.Fatalf("giteatest: %s %s: %v", method, path, err)
	}
}

func (s *Server) exists(t testing.TB, token, path string) bool {
	t.Helper()
	status, answer := s.request(t, "token "+token, http.MethodGet, path, nil)
	if status != http.StatusOK && status != http.StatusNotFound {
		t.Fatalf("giteatest: GET %s: status %d: %s", path, status, answer)
	}
	return status == http.StatusOK
}

func (s *Server) request(t testing.TB, authorization, method, path string, body any) (int, []byte) {
	t.Helper()
	data, err := json.Marshal(body)
	if err != nil {
		t.Fatalf("giteatest: %v", err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, s.URL+"/api/v1"+path, bytes.NewReader(data))
	if err != nil {
		t.Fatalf("giteatest: %v", err)
	}
	req.Header.Set("Authorization", authorization)
	req.Header.Set("Content-Type", "application/json")
	resp, err := s.http.Do(req)
	if err != nil {
		t.Fatalf("giteatest: %v: %s", err, s.tail())
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err != nil {
		t.Fatalf("giteatest: %s %s: %v", method, path, err)
	}
	return resp.StatusCode, answer
}

func (s *Server) unique(name string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.number++
	return fmt.Sprintf("%s-%d", strings.ToLower(name), s.number)
}
