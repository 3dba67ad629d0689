package slackserver

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"text/template"
	"time"
)

//go:embed answers/*.json
var answers embed.FS

// Message is one message of the channel or of a thread.
type Message struct {
	Channel, TS, Thread, Text string
	// Blocks and Metadata are JSON as it was sent.
	Blocks, Metadata string
	Bot              string
	Broadcast        bool
	// Updates is how often it was changed.
	Updates int
	// Deleted by somebody.
	Deleted bool
}

// User is somebody in the workspace.
type User struct {
	ID, Team, Email           string
	Confirmed, Deleted, Guest bool
}

// Failure is what the server does in the place of an answer.
type Failure struct {
	// Method that fails, such as chat.postMessage; any when empty.
	Method string
	// Status of HTTP, with RetryAfter in seconds if it is not 0.
	Status, RetryAfter int
	// Code of Slack, such as not_in_channel.
	Code string
	// Hang keeps the request until the caller gives up.
	Hang bool
	// Done does what was asked first.
	Done bool
}

// Server is one workspace with one channel, and those that Open adds.
type Server struct {
	*httptest.Server
	Token, Channel string

	templates *template.Template
	mu        sync.Mutex
	now       func() time.Time
	last      int64
	messages  []*Message
	others    []string
	users     map[string]User
	failures  []Failure
	wrong     []string
	pinged    []string
	calls     []string
	said      []string
	stop      chan struct{}
}

// New starts a Server on loopback, whose messages have the times of now.
func New(token, channel string, now func() time.Time) *Server {
	s := &Server{Token: token, Channel: channel, now: now, users: map[string]User{}, stop: make(chan struct{})}
	s.templates = template.Must(template.New("").Funcs(template.FuncMap{"json": toJSON}).ParseFS(answers, "answers/*.json"))
	s.Server = httptest.NewServer(http.HandlerFunc(s.serve))
	return s
}

// Close ends what hangs, and the server.
func (s *Server) Close() {
	close(s.stop)
	s.Server.Close()
}

// API is the address of the methods.
func (s *Server) API() string { return s.URL + "/api/" }

// Hooks is how the addresses begin at which answers are taken.
func (s *Server) Hooks() string { return s.URL + "/hooks/" }

// Fail makes the next calls fail, one after the other.
func (s *Server) Fail(f ...Failure) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = append(s.failures, f...)
}

// Know adds a user.
func (s *Server) Know(u User) { s.mu.Lock(); defer s.mu.Unlock(); s.users[u.ID] = u }

// Open adds a channel.
func (s *Server) Open(channel string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.others = append(s.others, channel)
}

// Wrong is what was not as Slack wants it.
func (s *Server) Wrong() []string { s.mu.Lock(); defer s.mu.Unlock(); return slices.Clone(s.wrong) }

// Pinged are the mentions that people would have been called by.
func (s *Server) Pinged() []string { s.mu.Lock(); defer s.mu.Unlock(); return slices.Clone(s.pinged) }

// Calls are the methods that were called, failed ones too.
func (s *Server) Calls() []string { s.mu.Lock(); defer s.mu.Unlock(); return slices.Clone(s.calls) }

// Said are the texts that were sent to addresses of Hooks.
func (s *Server) Said() []string { s.mu.Lock(); defer s.mu.Unlock(); return slices.Clone(s.said) }

// Messages are those of all channels, the oldest first, without replies and deleted ones.
func (s *Server) Messages() []Message { return s.in("") }

// Replies are those of a thread.
func (s *Server) Replies(ts string) []Message { return s.in(ts) }

func (s *Server) in(thread string) []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Message
	for _, m := range s.messages {
		if m.Thread == thread && !m.Deleted {
			out = append(out, *m)
		}
	}
	return out
}

// Delete is a person who deletes a message.
func (s *Server) Delete(ts string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m := s.find("", ts); m != nil {
		m.Deleted = true
	}
}

// find finds a message in a channel, or in any with "".
func (s *Server) find(channel, ts string) *Message {
	for _, m := range s.messages {
		if m.TS == ts && !m.Deleted && (channel == "" || m.Channel == channel) {
			return m
		}
	}
	return nil
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	if err != nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Method != http.MethodPost {
		s.violate("%s %s: only POST is known", r.Method, r.URL.Path)
	}
	if strings.HasPrefix(r.URL.Path, "/hooks/") {
		s.hook(w, body)
		return
	}
	method := strings.TrimPrefix(r.URL.Path, "/api/")
	s.calls = append(s.calls, method)
	failure, failed := s.failure(method)
	if !failed || failure.Done {
		status, answer := s.call(method, r, body)
		if !failed {
			w.Header().Set("Content-Type", "application/json; charset=utf-8")
			w.WriteHeader(status)
			_, _ = w.Write(answer) //nolint:gosec // JSON for a test
			return
		}
	}
	s.fail(w, r, failure)
}

func (s *Server) failure(method string) (Failure, bool) {
	if len(s.failures) == 0 || s.failures[0].Method != "" && s.failures[0].Method != method {
		return Failure{}, false
	}
	f := s.failures[0]
	s.failures = s.failures[1:]
	return f, true
}

func (s *Server) fail(w http.ResponseWriter, r *http.Request, f Failure) {
	switch {
	case f.Hang:
		s.mu.Unlock()
		select {
		case <-r.Context().Done():
		case <-s.stop:
		}
		s.mu.Lock()
	case f.Code != "":
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		_, _ = w.Write(s.answer("error.json", map[string]string{"Error": f.Code}))
	case f.Status != 0:
		if f.RetryAfter > 0 {
			w.Header().Set("Retry-After", strconv.Itoa(f.RetryAfter))
		}
		w.WriteHeader(f.Status)
		_, _ = io.WriteString(w, "<html>"+s.Token+"</html>")
	default:
		panic(http.ErrAbortHandler)
	}
}

// call does what a method does.
func (s *Server) call(method string, r *http.Request, body []byte) (int, []byte) {
	args, err := url.ParseQuery(string(body))
	if err != nil || !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		s.violate("%s: the arguments are no form", method)
	}
	known, ok := methods[method]
	if !ok {
		s.violate("%s: there is no such method", method)
		return http.StatusNotFound, nil
	}
	for name, values := range args {
		if !slices.Contains(known, name) || len(values) != 1 {
			s.violate("%s: the argument %s is unknown, or there twice", method, name)
		}
	}
	if args.Get("token") != s.Token {
		return s.refuse("invalid_auth")
	}
	if channel := args.Get("channel"); slices.Contains(known, "channel") && channel != s.Channel && !slices.Contains(s.others, channel) {
		return s.refuse("channel_not_found")
	}
	switch method {
	case "chat.postMessage":
		return s.post(args)
	case "chat.update":
		return s.update(args)
	case "conversations.history", "conversations.replies":
		return s.history(method, args)
	default:
		return s.user(args)
	}
}

// methods are what is known, with their arguments.
var methods = map[string][]string{
	"chat.postMessage": {
		"token", "channel", "text", "blocks", "metadata", "thread_ts", "reply_broadcast", "mrkdwn", "parse", "link_names",
		"unfurl_links", "unfurl_media",
	},
	"chat.update":           {"token", "channel", "ts", "text", "blocks", "metadata", "parse", "link_names"},
	"conversations.history": {"token", "channel", "cursor", "inclusive", "latest", "limit", "oldest", "include_all_metadata"},
	"conversations.replies": {"token", "channel", "ts", "cursor", "inclusive", "latest", "limit", "oldest", "include_all_metadata"},
	"users.info":            {"token", "user", "include_locale"},
}

func (s *Server) refuse(code string) (int, []byte) {
	return http.StatusOK, s.answer("error.json", map[string]string{"Error": code})
}

func (s *Server) post(args url.Values) (int, []byte) {
	s.check("chat.postMessage", args)
	if thread := args.Get("thread_ts"); thread != "" && s.find(args.Get("channel"), thread) == nil {
		return s.refuse("thread_not_found")
	}
	micros := max(s.now().UnixMicro(), s.last+1)
	s.last = micros
	m := &Message{
		Channel: args.Get("channel"), TS: fmt.Sprintf("%d.%06d", micros/1e6, micros%1e6), Thread: args.Get("thread_ts"), Text: args.Get("text"),
		Blocks: orEmpty(args.Get("blocks")), Metadata: args.Get("metadata"), Bot: "B0SENGU0001", Broadcast: args.Get("reply_broadcast") == "true",
	}
	s.messages = append(s.messages, m)
	return http.StatusOK, s.answer("post.json", m)
}

func (s *Server) update(args url.Values) (int, []byte) {
	s.check("chat.update", args)
	m := s.find(args.Get("channel"), args.Get("ts"))
	if m == nil {
		return s.refuse("message_not_found")
	}
	m.Text, m.Blocks = args.Get("text"), orEmpty(args.Get("blocks"))
	if metadata := args.Get("metadata"); metadata != "" {
		m.Metadata = metadata
	}
	m.Updates++
	return http.StatusOK, s.answer("update.json", m)
}

// history gives the newest of the channel first, and the oldest of a thread first.
func (s *Server) history(method string, args url.Values) (int, []byte) {
	thread := args.Get("ts")
	var found []*Message
	for _, m := range s.messages {
		if m.Deleted || m.Channel != args.Get("channel") || m.TS < args.Get("oldest") || m.Thread != thread && (thread == "" || m.TS != thread) {
			continue
		}
		shown := *m
		if args.Get("include_all_metadata") != "1" {
			shown.Metadata = ""
		}
		found = append(found, &shown)
	}
	if method == "conversations.history" {
		slices.Reverse(found)
	}
	limit, err := strconv.Atoi(args.Get("limit"))
	if err != nil || limit < 1 || limit > 999 {
		s.violate("%s: limit %q", method, args.Get("limit"))
		limit = 1
	}
	from, _ := strconv.Atoi(args.Get("cursor"))
	page := found[min(from, len(found)):min(from+limit, len(found))]
	next := ""
	if from+limit < len(found) {
		next = strconv.Itoa(from + limit)
	}
	return http.StatusOK, s.answer("history.json", map[string]any{"Messages": page, "Next": next})
}

func (s *Server) user(args url.Values) (int, []byte) {
	u, ok := s.users[args.Get("user")]
	if !ok {
		return s.refuse("user_not_found")
	}
	return http.StatusOK, s.answer("user.json", u)
}

// Chat is a message that a person writes, for lost ones to be among.
func (s *Server) Chat(text, metadata string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	micros := max(s.now().UnixMicro(), s.last+1)
	s.last = micros
	s.messages = append(s.messages, &Message{Channel: s.Channel, TS: fmt.Sprintf("%d.%06d", micros/1e6, micros%1e6), Text: text, Metadata: metadata, Blocks: "[]"})
}

func (s *Server) hook(w http.ResponseWriter, body []byte) {
	var said struct {
		Text         string `json:"text"`
		ResponseType string `json:"response_type"`
		Replace      bool   `json:"replace_original"`
	}
	if err := json.Unmarshal(body, &said); err != nil || said.ResponseType != "ephemeral" || said.Replace {
		s.violate("an answer to a person is not for that person alone: %s", body)
	}
	s.scan(said.Text)
	s.said = append(s.said, said.Text)
	_, _ = io.WriteString(w, "ok")
}

func (s *Server) answer(name string, data any) []byte {
	var out bytes.Buffer
	if err := s.templates.ExecuteTemplate(&out, name, data); err != nil {
		s.violate("answer %s: %v", name, err)
	}
	return out.Bytes()
}

func toJSON(v any) (string, error) {
	out, err := json.Marshal(v)
	return string(out), err
}

func orEmpty(blocks string) string {
	if blocks == "" {
		return "[]"
	}
	return blocks
}
