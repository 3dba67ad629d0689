package server

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/hook"
	"github.com/sengu-dev/sengu/internal/registry"
	"github.com/sengu-dev/sengu/internal/registry/ecr"
	"github.com/sengu-dev/sengu/internal/registry/gar"
)

// openRegistries makes the client that reads container registries.
func openRegistries(o Options) (*registry.Client, error) {
	return registry.New(registry.Options{Logger: o.Logger, Clock: o.Clock, Helpers: []registry.Helper{ecr.New(ecr.Options{}), gar.New()}})
}

const notAllowed = "there is no fleet of that name with a secret for images, or what was shown is not it"

// imagesPushed takes the announcement of a registry for one Fleet, from whoever shows the secret of its images.
func (l *listener) imagesPushed(w http.ResponseWriter, req *http.Request) {
	name := types.NamespacedName{Namespace: l.namespace, Name: req.PathValue("fleet")}
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, registry.MaxWebhook))
	if err != nil {
		var tooLarge *http.MaxBytesError
		if errors.As(err, &tooLarge) {
			answer(w, http.StatusRequestEntityTooLarge, fmt.Sprintf("an announcement has %d bytes at most", registry.MaxWebhook))
			return
		}
		answer(w, http.StatusBadRequest, "the announcement could not be read")
		return
	}
	secret, err := l.imagesSecret(req.Context(), name)
	if err == nil && !showsSecret(req, body, secret) {
		err = errors.New("the secret is not shown")
	}
	if err != nil {
		// Who does not know the secret learns nothing about which fleets exist.
		l.log.Warn("announcement of images refused", "fleet", name.Name, "error", err)
		answer(w, http.StatusForbidden, notAllowed)
		return
	}
	pushes, err := registry.Pushed(req.Header, body)
	switch {
	case errors.Is(err, registry.ErrNotAPush):
		l.log.Debug("announcement without an image", "fleet", name.Name, "reason", err)
		answer(w, http.StatusAccepted, "nothing to do for this event")
	case errors.Is(err, registry.ErrTooLarge):
		answer(w, http.StatusRequestEntityTooLarge, registry.ErrTooLarge.Error())
	case err != nil:
		l.log.Warn("announcement of images not understood", "fleet", name.Name, "error", err)
		answer(w, http.StatusBadRequest, "the announcement cannot be understood: it is of no registry that Sengu knows, or says something that cannot be")
	default:
		l.images.Announced(name, pushes)
		answer(w, http.StatusAccepted, "looking")
	}
}

// imagesSecret returns the secret that registries have to show for a Fleet.
func (l *listener) imagesSecret(ctx context.Context, name types.NamespacedName) ([]byte, error) {
	f := &v1alpha1.Fleet{}
	if err := l.client.Get(ctx, name, f); err != nil {
		return nil, fmt.Errorf("read fleet %s: %w", name.Name, err)
	}
	if f.Spec.Images == nil || f.Spec.Images.WebhookSecretRef == nil {
		return nil, fmt.Errorf("fleet %s has no images.webhookSecretRef", name.Name)
	}
	ref := f.Spec.Images.WebhookSecretRef
	secret := &corev1.Secret{}
	if err := l.client.Get(ctx, types.NamespacedName{Namespace: name.Namespace, Name: ref.Name}, secret); err != nil {
		return nil, fmt.Errorf("read Secret %s that images.webhookSecretRef names: %w", ref.Name, err)
	}
	if len(secret.Data[webhookSecretKey]) == 0 {
		return nil, fmt.Errorf("the Secret %s that images.webhookSecretRef names has no key %q", ref.Name, webhookSecretKey)
	}
	return secret.Data[webhookSecretKey], nil
}

// showsSecret reports whether a request shows a secret: by a signature of the body, which is best, as a bearer token, as
// the password of basic authentication, or as the end of the path, for registries that can do nothing but call a URL.
func showsSecret(req *http.Request, body, secret []byte) bool {
	if strings.HasPrefix(req.Header.Get(signatureHeader), signaturePrefix) {
		return signedBody(req.Header.Get, body, secret)
	}
	shown := hook.Same(req.PathValue("secret"), secret)
	if token, ok := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer "); ok {
		shown = hook.Same(token, secret) || shown
	}
	if _, password, ok := req.BasicAuth(); ok {
		shown = hook.Same(password, secret) || shown
	}
	return shown
}

const (
	signatureHeader = "X-Hub-Signature-256"
	signaturePrefix = "sha256="
)

var signedBody = hook.Signed(signatureHeader, signaturePrefix)
