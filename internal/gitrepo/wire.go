package gitrepo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// wire is what is known of an HTTP remote that speaks version 2 of the Git protocol (gitprotocol-v2). It belongs to the
// fetch that runs.
type wire struct {
	format string // sha1 or sha256
	older  bool   // it speaks an older version only: the git program is used
}

// agent is how this program names itself to servers.
const agent = "git/sengu"

// stall is how long a server may be silent in the middle of an answer.
const stall = 60 * time.Second

// maxRedirects is how often a server may say that the repository is elsewhere.
const maxRedirects = 3

// errOlder says that the server wants the git program.
var errOlder = errors.New("the server does not speak version 2 of the Git protocol")

// wireTransfer brings a ref, or a commit by its hash, with everything it reaches that is not here yet. It costs two
// requests and one git process, and one request and no process when there is nothing new.
func (r *Repository) wireTransfer(ctx context.Context, from string, cred credential) (string, error) {
	c, err := r.call(from, cred)
	if err != nil {
		return "", err
	}
	return c.transfer(ctx, from)
}

// call makes a call ready that is about a ref, or a commit by its hash.
func (r *Repository) call(about string, cred credential) (*wireCall, error) {
	client, err := r.store.clients.client(cred.ca)
	if err != nil {
		return nil, err
	}
	return &wireCall{repo: r, client: client, cred: cred, ref: shortRef(about)}, nil
}

func shortRef(ref string) string {
	for _, prefix := range []string{"refs/heads/", "refs/tags/"} {
		ref = strings.TrimPrefix(ref, prefix)
	}
	return ref
}

// wireCall is one fetch over HTTP.
type wireCall struct {
	repo   *Repository
	client *http.Client
	cred   credential
	ref    string // for messages
}

// greet finds out what the server speaks, unless that is known.
func (c *wireCall) greet(ctx context.Context) error {
	r := c.repo
	if r.wire == nil {
		w, err := c.capabilities(ctx)
		if err != nil {
			return err
		}
		r.wire = w
	}
	if r.wire.older {
		return errOlder
	}
	return nil
}

func (c *wireCall) transfer(ctx context.Context, from string) (string, error) {
	r := c.repo
	if err := c.greet(ctx); err != nil {
		return "", err
	}
	if err := r.ensure(ctx, r.wire.format); err != nil {
		return "", err
	}
	want := from
	if !fullHash.MatchString(from) {
		refs, err := c.lsRefs(ctx, from)
		if err != nil {
			return "", err
		}
		if want = refs[from]; want == "" {
			return "", c.missing(ctx, from)
		}
	}
	recorded := refName(refHeads, c.ref)
	if isStateRef(from) {
		recorded = refName(refStates, from)
	}
	if head, ok := r.readRef(recorded); ok && head == want && !r.damaged.Load() {
		return want, nil
	}
	return want, c.pack(ctx, want)
}

// missing tells an emptied repository from one without the branch.
func (c *wireCall) missing(ctx context.Context, from string) error {
	e := &FetchError{URL: c.repo.remote.raw, Ref: c.ref, Reason: ErrBranchMissing}
	if strings.HasPrefix(from, "refs/tags/") {
		e.Reason = ErrRevisionMissing
		return e
	}
	all, err := c.lsRefs(ctx, "refs/heads/")
	if err != nil {
		return err
	}
	if len(all) == 0 {
		e.Reason, e.Detail = ErrEmpty, "it has no branch at all"
	}
	return e
}

// capabilities asks what the server speaks, and follows it to where the repository is.
func (c *wireCall) capabilities(ctx context.Context) (*wire, error) {
	for range maxRedirects {
		resp, err := c.do(ctx, http.MethodGet, "/info/refs?service=git-upload-pack", nil)
		if err != nil {
			return nil, err
		}
		if resp.StatusCode/100 == 3 {
			_ = resp.Body.Close() // what a redirect carries is not read
			if err := c.redirected(resp); err != nil {
				return nil, err
			}
			continue
		}
		defer func() { _ = resp.Body.Close() }() // only read
		if err := c.status(resp); err != nil {
			return nil, err
		}
		w, err := readCapabilities(newPktReader(resp.Body))
		if errors.Is(err, errNotGit) || errors.Is(err, io.EOF) {
			return &wire{older: true}, nil
		}
		return w, err
	}
	return nil, &FetchError{URL: c.repo.remote.raw, Ref: c.ref, Reason: ErrRedirect, Detail: "again and again"}
}

func readCapabilities(p *pktReader) (*wire, error) {
	w := &wire{format: "sha1"}
	fetch, version := false, false
	for {
		kind, line, err := p.text()
		switch {
		case err != nil:
			return nil, err
		case kind != pktLine && version:
			w.older = !fetch
			return w, nil
		case strings.HasPrefix(line, "# service="), kind == pktFlush:
		case line == "version 2":
			version = true
		case !version:
			return &wire{older: true}, nil
		case line == "fetch" || strings.HasPrefix(line, "fetch="):
			fetch = true
		case strings.HasPrefix(line, "object-format="):
			w.format = strings.TrimPrefix(line, "object-format=")
		}
	}
}

// redirected notes where the repository is. With a credential only another path of the same host will do.
func (c *wireCall) redirected(resp *http.Response) error {
	refuse := &FetchError{URL: c.repo.remote.raw, Ref: c.ref, Reason: ErrRedirect}
	to, err := resp.Location()
	if err != nil {
		refuse.Detail = resp.Status
		return refuse
	}
	target, ok := strings.CutSuffix(to.Path, "/info/refs")
	next := url.URL{Scheme: to.Scheme, Host: to.Host, Path: target}
	rem, err := parseURL(next.String(), c.repo.store.opts)
	switch {
	case !ok || err != nil:
		refuse.Detail = "to something that is not a repository; it may want another credential"
	case c.cred.authorization != "" && !sameHost(rem, c.repo.remote):
		refuse.Detail = "to " + next.String() + ", where the credential is not sent: use that URL"
	default:
		c.repo.mu.Lock()
		c.repo.moved = next.String()
		c.repo.mu.Unlock()
		return nil
	}
	return refuse
}

// lsRefs gives the refs that begin with a prefix.
func (c *wireCall) lsRefs(ctx context.Context, prefix string) (map[string]string, error) {
	var w pktWriter
	c.begin(&w, "ls-refs")
	w.line("ref-prefix %s", prefix)
	w.flush()
	body, err := c.post(ctx, w.Bytes())
	if err != nil {
		return nil, err
	}
	defer func() { _ = body.Close() }() // only read
	refs := map[string]string{}
	for p := newPktReader(body); ; {
		kind, line, err := p.text()
		if err != nil {
			return nil, c.broken(ctx, err)
		}
		if kind != pktLine {
			return refs, nil
		}
		hash, rest, _ := strings.Cut(line, " ")
		name, _, _ := strings.Cut(rest, " ")
		if fullHash.MatchString(hash) {
			refs[name] = hash
		}
	}
}

// pack asks for everything that want reaches and our own commits do not, and hands it to git.
func (c *wireCall) pack(ctx context.Context, want string) error {
	var w pktWriter
	c.begin(&w, "fetch")
	for _, option := range []string{"thin-pack", "no-progress", "ofs-delta"} {
		w.line("%s", option)
	}
	w.line("want %s", want)
	for _, have := range c.repo.haves(ctx) {
		w.line("have %s", have)
	}
	w.line("done")
	w.flush()
	body, err := c.post(ctx, w.Bytes())
	if err != nil {
		return err
	}
	defer func() { _ = body.Close() }() // only read
	p := newPktReader(body)
	for {
		kind, line, err := p.text()
		if err != nil {
			return c.broken(ctx, err)
		}
		if kind == pktLine && line == "packfile" {
			break
		}
		if kind == pktFlush {
			return c.broken(ctx, errNotGit)
		}
	}
	source := &packReader{pkt: p, limit: c.repo.store.opts.MaxPack}
	if err := c.repo.unpack(ctx, source); err != nil {
		var ge *gitError
		if errors.As(err, &ge) || errors.Is(err, ErrCorrupt) {
			return err
		}
		return c.broken(ctx, err)
	}
	return nil
}

func (c *wireCall) begin(w *pktWriter, command string) {
	w.line("command=%s", command)
	w.line("agent=%s", agent)
	w.line("object-format=%s", c.repo.wire.format)
	w.delim()
}

// maxHaves bounds the commits that the server is told we have; ancestors is how many of them are on the way back from
// a head, for branches that were set back a little.
const (
	maxHaves  = 64
	ancestors = 16
)

// haves are the heads that we have, and a few of their ancestors. A head that cannot be read is damage, which the fetch
// that asks repairs when it is done.
func (r *Repository) haves(ctx context.Context) []string {
	var list []string
	for _, prefix := range []string{refHeads, refStates, refKeep, refSeen} {
		refs := listRefs(r.dir, prefix)
		names := sortedRefs(refs)
		slices.Reverse(names) // of the seen ones, the newest first
		for _, name := range names {
			hash := refs[name]
			for i := 0; i < ancestors && len(list) < maxHaves && !slices.Contains(list, hash); i++ {
				commit, err := r.readCommit(ctx, hash)
				if err != nil {
					r.damaged.Store(r.damaged.Load() || ctx.Err() == nil)
					return nil
				}
				list = append(list, hash)
				if prefix != refHeads || len(commit.parents) == 0 {
					break
				}
				hash = commit.parents[0]
			}
		}
	}
	return list
}

func (c *wireCall) post(ctx context.Context, body []byte) (io.ReadCloser, error) {
	resp, err := c.do(ctx, http.MethodPost, "/git-upload-pack", body)
	if err != nil {
		return nil, err
	}
	if err := c.status(resp); err != nil {
		_ = resp.Body.Close() // only read
		return nil, err
	}
	if resp.Header.Get("Content-Type") != "application/x-git-upload-pack-result" {
		_ = resp.Body.Close() // not even read
		return nil, errNotGit
	}
	return resp.Body, nil
}

func (c *wireCall) do(ctx context.Context, method, path string, body []byte) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	silent := time.AfterFunc(stall, func() { cancel(fmt.Errorf("no byte for %s: %w", stall, context.DeadlineExceeded)) })
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(c.repo.fetchURL(), "/")+path, bytes.NewReader(body))
	if err != nil {
		cancel(nil)
		return nil, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("User-Agent", agent)
	req.Header.Set("Git-Protocol", "version=2")
	if c.cred.authorization != "" {
		req.Header.Set("Authorization", c.cred.authorization)
	}
	if method == http.MethodPost {
		req.Header.Set("Content-Type", "application/x-git-upload-pack-request")
		req.Header.Set("Accept", "application/x-git-upload-pack-result")
	}
	resp, err := c.client.Do(req)
	if err != nil {
		silent.Stop()
		defer cancel(nil)
		return nil, c.broken(ctx, err)
	}
	resp.Body = &watched{ReadCloser: resp.Body, silent: silent, cancel: cancel}
	return resp, nil
}

// watched ends an answer in which nothing comes any more.
type watched struct {
	io.ReadCloser
	silent *time.Timer
	cancel context.CancelCauseFunc
}

func (w *watched) Read(b []byte) (int, error) {
	w.silent.Reset(stall)
	return w.ReadCloser.Read(b)
}

// Close reads what little is left, so that the connection can be used again.
func (w *watched) Close() error {
	_, _ = io.CopyN(io.Discard, w, 4<<10)
	w.silent.Stop()
	err := w.ReadCloser.Close()
	w.cancel(nil)
	return err
}
