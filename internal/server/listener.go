package server

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/fleet"
	"github.com/sengu-dev/sengu/internal/controller/review"
	"github.com/sengu-dev/sengu/internal/controller/tracker"
	"github.com/sengu-dev/sengu/internal/gitrepo"
)

// webhookSecretKey is the key of the Secret that signs webhooks.
const webhookSecretKey = "secret"

// listener answers webhooks, the buttons of Slack and probes.
type listener struct {
	address   string
	namespace string
	client    client.Client
	fleets    *fleet.Reconciler
	reviews   *review.Reconciler
	images    *tracker.Reconciler
	buttons   http.Handler
	api       *api
	ready     func(context.Context) error
	elected   <-chan struct{}
	log       *slog.Logger
}

func newListener(o Options, mgr ctrl.Manager, p parts) *listener {
	return &listener{
		address: o.Listen, namespace: o.Namespace, client: mgr.GetClient(), fleets: p.fleets, reviews: p.reviews, images: p.images, buttons: p.buttons, api: p.api,
		ready: p.ready, elected: mgr.Elected(), log: o.Logger,
	}
}

// NeedLeaderElection is false: a process that stands by answers probes too.
func (l *listener) NeedLeaderElection() bool { return false }

// Start serves until ctx ends.
func (l *listener) Start(ctx context.Context) error {
	server := &http.Server{
		Handler:           l.routes(),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      30 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
	}
	socket, err := (&net.ListenConfig{}).Listen(ctx, "tcp", l.address)
	if err != nil {
		return fmt.Errorf("listen on %s: %w", l.address, err)
	}
	stopped := make(chan error, 1)
	go func() {
		<-ctx.Done()
		deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopTimeout)
		defer cancel()
		stopped <- server.Shutdown(deadline)
	}()
	if err := server.Serve(socket); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve on %s: %w", l.address, err)
	}
	return <-stopped
}

// routes is everything that can be asked for.
func (l *listener) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answer(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", l.readyz)
	mux.HandleFunc("POST /webhooks/{fleet}", l.webhook)
	mux.HandleFunc("POST /webhooks/{fleet}/images", l.imagesPushed)
	mux.HandleFunc("POST /webhooks/{fleet}/images/{secret}", l.imagesPushed)
	mux.Handle("POST /slack/interactions", l.buttons)
	l.api.routes(mux)
	return mux
}

func (l *listener) readyz(w http.ResponseWriter, req *http.Request) {
	select {
	case <-l.elected:
	default:
		answer(w, http.StatusOK, "standing by: another process holds the Lease")
		return
	}
	if err := l.ready(req.Context()); err != nil {
		answer(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	answer(w, http.StatusOK, "ok")
}

// webhook takes the announcement of a push, or of a pull request, for one Fleet, signed with that Fleet's secret.
func (l *listener) webhook(w http.ResponseWriter, req *http.Request) {
	name := types.NamespacedName{Namespace: l.namespace, Name: req.PathValue("fleet")}
	repository, secret, err := l.secretOf(req.Context(), name)
	if err != nil {
		// Who does not know the secret learns nothing about which fleets exist.
		l.log.Warn("webhook refused", "fleet", name.Name, "error", err)
		answer(w, http.StatusForbidden, "there is no fleet of that name with a webhook secret, or the signature is wrong")
		return
	}
	body := keep(req)
	push, err := gitrepo.ParseWebhook(req, [][]byte{secret}, 0)
	switch {
	case errors.Is(err, gitrepo.ErrIgnored):
		l.pullRequest(w, req, name, repository, body.Bytes(), secret)
		return
	case errors.Is(err, gitrepo.ErrWebhookTooLarge):
		answer(w, http.StatusRequestEntityTooLarge, err.Error())
		return
	case errors.Is(err, gitrepo.ErrWebhookSignature):
		l.log.Warn("webhook refused", "fleet", name.Name, "error", err)
		answer(w, http.StatusForbidden, "there is no fleet of that name with a webhook secret, or the signature is wrong")
		return
	case err != nil:
		answer(w, http.StatusBadRequest, err.Error())
		return
	}
	if !push.Concerns(repository.URL, repository.Branch) {
		answer(w, http.StatusOK, fmt.Sprintf("the push is to another repository or branch than the one that fleet %s reads", name.Name))
		return
	}
	if err := l.fleets.Pushed(req.Context(), repository.URL); err != nil {
		l.log.Error("webhook not handled", "fleet", name.Name, "error", err)
		answer(w, http.StatusInternalServerError, "the push could not be handled: try again")
		return
	}
	answer(w, http.StatusAccepted, "fetching")
}

// secretOf returns the repository that a Fleet reads, and the secret of its webhooks.
func (l *listener) secretOf(ctx context.Context, name types.NamespacedName) (v1alpha1.GitSource, []byte, error) {
	f := &v1alpha1.Fleet{}
	if err := l.client.Get(ctx, name, f); err != nil {
		return v1alpha1.GitSource{}, nil, fmt.Errorf("read fleet %s: %w", name.Name, err)
	}
	ref := f.Spec.Git.WebhookSecretRef
	if ref == nil {
		return v1alpha1.GitSource{}, nil, fmt.Errorf("fleet %s has no git.webhookSecretRef", name.Name)
	}
	secret := &corev1.Secret{}
	if err := l.client.Get(ctx, types.NamespacedName{Namespace: name.Namespace, Name: ref.Name}, secret); err != nil {
		return v1alpha1.GitSource{}, nil, fmt.Errorf("read Secret %s that git.webhookSecretRef names: %w", ref.Name, err)
	}
	if len(secret.Data[webhookSecretKey]) == 0 {
		return v1alpha1.GitSource{}, nil, fmt.Errorf("the Secret %s that git.webhookSecretRef names has no key %q", ref.Name, webhookSecretKey)
	}
	return f.Spec.Git, secret.Data[webhookSecretKey], nil
}

func answer(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	if _, err := fmt.Fprintln(w, text); err != nil {
		return // the client has gone
	}
}
