package server

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"path/filepath"
	"runtime"
	"slices"

	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/forge"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/render"
)

const (
	// reviewRenders is how many renders of pull requests run at once at most, beside those of deliveries.
	reviewRenders = 2
	// reviewCache bounds what is kept of them, in bytes.
	reviewCache = 64 << 20
)

// reviewRenderer renders what pull requests would make of the environments. It has its own workers and its own cache:
// whoever opens a pull request takes neither from a delivery.
func reviewRenderer(o Options, key keys, repositories *gitrepo.Store) (*render.Renderer, error) {
	return render.New(render.Options{
		Workers: min(reviewRenders, max(1, runtime.NumCPU()/2)), CacheDir: filepath.Join(o.DataDir, "reviewed"), CacheLimit: reviewCache, CacheKey: key.render,
		Git: bases(repositories), Logger: o.Logger,
	})
}

// kept is the body of a request that is also written down while it is read.
type kept struct {
	io.Reader
	io.Closer
}

// keep makes the body of a request be written down while it is read, no further than whoever reads it goes.
func keep(req *http.Request) *bytes.Buffer {
	var body bytes.Buffer
	req.Body = kept{io.TeeReader(req.Body, &body), req.Body}
	return &body
}

// pullRequest takes what a webhook that is about no branch says about a pull request. It is signed as one about a push.
func (l *listener) pullRequest(w http.ResponseWriter, req *http.Request, fleet types.NamespacedName, repository v1alpha1.GitSource, body, secret []byte) {
	event, err := forge.ParsePullRequestEvent(req.Header, body, secret)
	switch {
	case errors.Is(err, forge.ErrWebhookMalformed):
		answer(w, http.StatusBadRequest, forge.ErrWebhookMalformed.Error())
		return
	case err != nil:
		answer(w, http.StatusOK, "nothing to do for this event")
		return
	}
	here := func(url string) bool { return gitrepo.NormalizeURL(url) == gitrepo.NormalizeURL(repository.URL) }
	if !slices.ContainsFunc(event.URLs, here) || event.Base != repository.Branch {
		answer(w, http.StatusOK, "the pull request is into another repository or branch than the one that the fleet reads")
		return
	}
	l.reviews.Announced(fleet, event)
	answer(w, http.StatusAccepted, "looking at the pull request")
}
