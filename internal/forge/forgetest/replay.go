package forgetest

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/internal/forge"
)

// The tokens of a Replay, by what they may do.
const (
	writer = "replayed-token-that-writes"
	reader = "replayed-token-that-reads"
)

// recording is the file of a scenario. The bodies of bodies.json beside it may be used in it by their names.
type recording struct {
	// People and Values are what the World is asked for: logins, and commits and numbers by what makes them.
	People    people         `json:"people"`
	Values    map[string]any `json:"values"`
	Exchanges []exchange     `json:"exchanges"`
}

type people struct{ Bot, Owner, Reviewer string }

// exchange is a request, which must come next, and its answer.
type exchange struct {
	Ask     string            `json:"ask"`     // METHOD PATH?QUERY, below the API
	Token   string            `json:"token"`   // that must be sent; the one that writes when empty
	Match   string            `json:"match"`   // If-None-Match that must be sent, "" for none
	Send    json.RawMessage   `json:"send"`    // the body that must be sent
	Status  int               `json:"status"`  // 200 when zero
	Headers map[string]string `json:"headers"` // of the answer
	Answer  any               `json:"answer"`
}

// Replay opens the scenario in a folder of recordings: SCENARIO.json and bodies.json. Prefix is the path of the API.
func Replay(t *testing.T, kind forge.Kind, repository, prefix, dir, scenario string) World {
	t.Helper()
	r := &replay{t: t, kind: kind, repository: repository, prefix: prefix}
	var bodies map[string]any
	readJSON(t, filepath.Join(dir, "bodies.json"), &bodies)
	readJSON(t, filepath.Join(dir, scenario+".json"), &r.recording)
	for i := range r.Exchanges {
		r.Exchanges[i].Answer = expand(t, bodies, r.Exchanges[i].Answer)
	}
	server := httptest.NewServer(r)
	r.url = server.URL
	t.Cleanup(func() {
		server.Close()
		for _, left := range r.Exchanges[r.at:] {
			t.Errorf("nobody asked for %s", left.Ask)
		}
	})
	return r
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	data, err := os.ReadFile(path) //nolint:gosec // a file of the test
	if err != nil {
		t.Fatal(err)
	}
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// expand replaces each object {"like": NAME, ...} by the body of that name with the other fields set in it.
func expand(t *testing.T, bodies map[string]any, v any) any {
	t.Helper()
	switch v := v.(type) {
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = expand(t, bodies, v[i])
		}
		return out
	case map[string]any:
		out := map[string]any{}
		if name, ok := v["like"].(string); ok {
			body, ok := bodies[name].(map[string]any)
			if !ok {
				t.Fatalf("there is no body %q", name)
			}
			out = expand(t, bodies, body).(map[string]any)
		}
		for key, value := range v {
			if key != "like" {
				out[key] = expand(t, bodies, value)
			}
		}
		return out
	}
	return v
}

// replay is the server and the World.
type replay struct {
	recording
	t                       *testing.T
	kind                    forge.Kind
	url, repository, prefix string

	mu sync.Mutex
	at int
}

// ServeHTTP gives the next answer if the request is the next one.
func (r *replay) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at >= len(r.Exchanges) {
		r.refuse(w, "%s %s comes after the last exchange", req.Method, req.URL)
		return
	}
	e := r.Exchanges[r.at]
	if wrong := r.compare(e, req); wrong != "" {
		r.refuse(w, "exchange %d (%s): %s", r.at+1, e.Ask, wrong)
		return
	}
	r.at++
	for name, value := range e.Headers {
		w.Header().Set(name, value)
	}
	if e.Status == 0 {
		e.Status = http.StatusOK
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(e.Status)
	if e.Status == http.StatusNotModified || e.Status == http.StatusNoContent {
		return
	}
	if err := json.NewEncoder(w).Encode(e.Answer); err != nil {
		r.t.Error(err)
	}
}

func (r *replay) refuse(w http.ResponseWriter, format string, args ...any) {
	r.t.Errorf("replay: "+format, args...)
	http.Error(w, "not recorded", http.StatusNotImplemented)
}

// compare says what of the request is not as recorded.
func (r *replay) compare(e exchange, req *http.Request) string {
	method, target, _ := strings.Cut(e.Ask, " ")
	want, err := url.Parse(target)
	if err != nil {
		return err.Error()
	}
	token := e.Token
	if token == "" {
		token = writer
	}
	switch path, below := strings.CutPrefix(req.URL.EscapedPath(), r.prefix); {
	case req.Method != method || !below || path != want.EscapedPath():
		return fmt.Sprintf("got %s %s", req.Method, req.URL)
	case !cmp.Equal(want.Query(), req.URL.Query()):
		return "got the query " + req.URL.RawQuery
	case req.Header.Get("Authorization") != "Bearer "+token:
		return "it bears another token, or none"
	case req.Header.Get("If-None-Match") != e.Match:
		return "got If-None-Match " + req.Header.Get("If-None-Match")
	case req.Header.Get("User-Agent") == "" || req.Header.Get("Accept") == "":
		return "it says neither who asks nor what is accepted"
	}
	body, err := io.ReadAll(req.Body)
	if err != nil {
		return err.Error()
	}
	if len(body) == 0 && len(e.Send) == 0 {
		return ""
	}
	var got, sent any
	if err := json.Unmarshal(body, &got); err != nil {
		return "its body: " + err.Error()
	}
	if err := json.Unmarshal(e.Send, &sent); err != nil {
		return "the recorded body: " + err.Error()
	}
	return cmp.Diff(sent, got)
}

func (r *replay) config(token string) forge.Config {
	return forge.Config{
		Kind: r.kind, BaseURL: r.url + r.prefix, Repository: r.repository,
		Token: func(context.Context) (string, error) { return token, nil },
	}
}

func (r *replay) Config() forge.Config { return r.config(writer) }
func (r *replay) Reader() forge.Config { return r.config(reader) }
func (r *replay) Bot() string          { return r.People.Bot }
func (r *replay) Owner() string        { return r.People.Owner }
func (r *replay) Reviewer() string     { return r.People.Reviewer }

func (r *replay) Branch(t *testing.T, name string) string {
	t.Helper()
	return value[string](t, r, "branch "+name)
}

func (r *replay) Fork(t *testing.T, branch string) int {
	t.Helper()
	return int(value[float64](t, r, "fork "+branch))
}

func (r *replay) Merge(t *testing.T, number int) string {
	t.Helper()
	return value[string](t, r, fmt.Sprintf("merge %d", number))
}

// What people do beside that shows in the answers only.

func (r *replay) Approve(*testing.T, int)         {}
func (r *replay) Withdraw(*testing.T, int)        {}
func (r *replay) Comment(*testing.T, int, string) {}

func value[T any](t *testing.T, r *replay, key string) T {
	t.Helper()
	v, ok := r.Values[key].(T)
	if !ok {
		t.Fatalf("the recording has no value for %q", key)
	}
	return v
}
