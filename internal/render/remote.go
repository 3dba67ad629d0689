package render

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/sengu-dev/sengu/internal/render/remote"
	"github.com/sengu-dev/sengu/internal/render/wire"
)

// RemotePolicy says what a render may fetch from outside of the repository: nothing when empty.
type RemotePolicy = remote.Policy

// RemoteSource is one place that a [RemotePolicy] allows.
type RemoteSource = remote.Source

// GitOpener opens one revision of another Git repository, for a remote base of a kustomization. ref is a tag, a
// branch or a commit; the opener returns the commit that it names now.
type GitOpener func(ctx context.Context, url, ref string) (src Source, commit string, err error)

// mountRoot is where a worker sees other Git repositories. No repository can have such a path: a slash would have to
// be in a name.
const mountRoot = ".sengu-remote"

// mount is another repository that a job looks into.
type mount struct {
	src Source
}

// fetches serves the remote inputs of one job.
type fetches struct {
	r         *Renderer
	policy    RemotePolicy
	rec       *Recorder
	mounts    []mount
	temporary bool // a fetch failed that may succeed later
}

// answer returns the payload of the Reply to one Fetch.
func (f *fetches) answer(ctx context.Context, payload []byte) ([]byte, error) {
	var q wire.FetchRequest
	if err := json.Unmarshal(payload, &q); err != nil {
		return nil, fmt.Errorf("read a fetch request: %w", err)
	}
	data, err := f.fetch(ctx, q)
	var refusal *remote.Refusal
	if errors.As(err, &refusal) {
		f.temporary = f.temporary || refusal.Temporary
		return refused("%s", refusal.Sentence), nil
	}
	if err != nil {
		return nil, err
	}
	return append([]byte{byte(wire.File)}, withLength(data)...), nil
}

func (f *fetches) fetch(ctx context.Context, q wire.FetchRequest) ([]byte, error) {
	switch {
	case q.Chart != nil:
		return f.chart(ctx, *q.Chart)
	case q.Git != "":
		return f.git(ctx, q.Git)
	}
	data, digest, err := f.r.remote.File(ctx, f.policy, q.URL, f.r.opts.FileLimit)
	if err == nil {
		f.rec.sawRemote(q.URL, digest)
	}
	return data, err
}

// chart answers with a byte that says whether an archive or an index follows.
func (f *fetches) chart(ctx context.Context, c wire.Chart) ([]byte, error) {
	ref := remote.Ref{Repository: c.Repository, Name: c.Name, Version: c.Version, Digest: c.Digest, Devel: c.Devel, URL: c.URL}
	a, err := f.r.remote.Chart(ctx, f.policy, ref)
	if err != nil {
		return nil, err
	}
	if a.Index != nil {
		return append([]byte{wire.IsIndex}, a.Index...), nil
	}
	ref.URL, ref.Digest = "", ""
	f.rec.sawRemote(ref.String(), a.Digest)
	return append([]byte{wire.IsArchive}, a.Archive...), nil
}

// git opens another repository and answers with the path at which the worker sees the folder.
func (f *fetches) git(ctx context.Context, raw string) ([]byte, error) {
	g := remote.ParseGit(raw)
	if err := f.policy.Allows(g.URL); err != nil {
		return nil, err
	}
	switch {
	case f.r.opts.Git == nil:
		return nil, &remote.Refusal{Sentence: "bases in other Git repositories are not supported here: commit the base into this repository"}
	case g.Ref == "":
		return nil, &remote.Refusal{Sentence: "it has no ref, so it would change by itself: add ?ref= with a tag or a commit"}
	}
	src, commit, err := f.r.opts.Git(ctx, g.URL, g.Ref)
	if err != nil {
		if ctx.Err() != nil {
			return nil, err
		}
		return nil, &remote.Refusal{Sentence: fmt.Sprintf("%s at %s cannot be fetched: %s", g.URL, g.Ref, err), Temporary: true}
	}
	f.rec.sawRemote("git:"+g.URL+"?ref="+g.Ref, commit)
	f.mounts = append(f.mounts, mount{src: src})
	return []byte(path.Join(mountRoot, fmt.Sprint(len(f.mounts)-1), g.Path)), nil
}

// source finds the source that name belongs to, and its name there. The own repository is recorded, another one is
// recorded as its commit.
func (f *fetches) source(name string) (src Source, in string, own bool) {
	rest, ok := strings.CutPrefix(name, mountRoot+"/")
	if !ok {
		return f.rec.src, name, true
	}
	number, in, _ := strings.Cut(rest, "/")
	if in == "" {
		in = "."
	}
	for i, m := range f.mounts {
		if fmt.Sprint(i) == number {
			return m.src, in, false
		}
	}
	return nothing{}, in, false
}

// nothing is an empty source.
type nothing struct{}

func (nothing) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}
func (nothing) Hash(string) (string, error) { return "", fs.ErrNotExist }
