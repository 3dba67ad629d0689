package origin

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/forge"
	"github.com/sengu-dev/sengu/internal/gitrepo"
)

// ErrNoForge says that a Fleet uses no forge: it names none, and its repository is on none that is known, or is read
// without a credential that the API of one takes. It is no mistake.
var ErrNoForge = errors.New("the fleet uses no forge")

// ForgeOptions are what a forge of a Fleet is made with.
type ForgeOptions struct {
	// Repositories makes the tokens of GitHub Apps, and keeps them until shortly before they end.
	Repositories *gitrepo.Store
	// Log gets one line of level debug a request; none when nil.
	Log *slog.Logger
	// Now is the clock; time.Now when nil.
	Now func() time.Time
}

// Forge makes the forge that the repository of a Fleet is on, by spec.forge and spec.git.url. It sends nothing. The error
// is ErrNoForge, or a sentence that names the field or the key of the Secret to correct.
//
// The credential is that of ForgeSecret. It is read again for each request, so that a new one is used at once; only
// when the Fleet changes, or a Secret gets another caFile, does a Forge have to be made anew. Keep it as long as that: it
// remembers what need not be transferred again, and how long the forge wants to be left alone.
func Forge(ctx context.Context, c client.Reader, fleet *v1alpha1.Fleet, opts ForgeOptions) (forge.Forge, error) {
	said := v1alpha1.ForgeSource{}
	if fleet.Spec.Forge != nil {
		said = *fleet.Spec.Forge
	}
	field, name := ForgeSecret(fleet)
	guessed := fleet.Spec.Forge == nil
	if !mayUseForge(fleet) {
		return nil, ErrNoForge
	}
	config, err := forge.Locate(fleet.Spec.Git.URL, forge.Kind(said.Kind), said.API)
	if err != nil {
		return nil, fmt.Errorf("forge: %w", err)
	}
	if name == "" {
		return nil, errors.New("forge: its API takes a token: name a Secret that holds one in forge.secretRef")
	}
	credential := func(ctx context.Context) (gitrepo.Auth, error) {
		secret := &corev1.Secret{}
		if err := c.Get(ctx, types.NamespacedName{Namespace: fleet.Namespace, Name: name}, secret); err != nil {
			return gitrepo.Auth{}, fmt.Errorf("read Secret %s that %s names: %w", name, field, err)
		}
		auth, err := gitrepo.AuthFromSecret(secret.Data)
		switch {
		case err != nil:
			return gitrepo.Auth{}, fmt.Errorf("the Secret %s that %s names: %w", name, field, err)
		case auth.App == nil && auth.Password == "" && guessed:
			return gitrepo.Auth{}, ErrNoForge
		case auth.App == nil && auth.Password == "":
			return gitrepo.Auth{}, fmt.Errorf("the Secret %s that %s names holds neither a token nor a GitHub App, which the API of the forge takes: name one that does in forge.secretRef", name, field)
		}
		return auth, nil
	}
	auth, err := credential(ctx)
	if err != nil {
		return nil, err
	}
	if config.HTTP, err = trusting(auth.CA); err != nil {
		return nil, fmt.Errorf("the Secret %s that %s names: %w", name, field, err)
	}
	config.Token = func(ctx context.Context) (string, error) {
		auth, err := credential(ctx)
		if err != nil {
			return "", err
		}
		return opts.Repositories.Token(ctx, auth)
	}
	config.Logger, config.Now = opts.Log, opts.Now
	made, err := forge.New(config)
	if err != nil {
		return nil, fmt.Errorf("forge: %w", err)
	}
	return made, nil
}

// mayUseForge reports whether a Fleet names a forge, or is on one that is known and has a credential.
func mayUseForge(fleet *v1alpha1.Fleet) bool {
	if fleet.Spec.Forge != nil {
		return true
	}
	_, name := ForgeSecret(fleet)
	_, _, _, known := forge.Guess(fleet.Spec.Git.URL)
	return known && name != ""
}

// ForgeSecret names the field that names the Secret with the credential for a Fleet's forge, and that Secret: forge.secretRef,
// or else git.secretRef. The name is "" if there is neither.
func ForgeSecret(fleet *v1alpha1.Fleet) (field, name string) {
	if f := fleet.Spec.Forge; f != nil && f.SecretRef != nil {
		return "forge.secretRef", f.SecretRef.Name
	}
	if ref := fleet.Spec.Git.SecretRef; ref != nil {
		return "git.secretRef", ref.Name
	}
	return "", ""
}

// trusting makes a client of HTTP that trusts a CA bundle in the place of the system's, or nil when there is none.
func trusting(ca []byte) (*http.Client, error) {
	if len(ca) == 0 {
		return nil, nil
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: x509.NewCertPool()}
	if !config.RootCAs.AppendCertsFromPEM(ca) {
		return nil, errors.New("its caFile holds no certificate in PEM")
	}
	return &http.Client{Transport: &http.Transport{
		Proxy: http.ProxyFromEnvironment, ForceAttemptHTTP2: true, TLSClientConfig: config,
		DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: 10 * time.Second, ResponseHeaderTimeout: 30 * time.Second,
		MaxIdleConnsPerHost: 2, MaxIdleConns: 4, IdleConnTimeout: 90 * time.Second,
	}}, nil
}
