// Package gar gives credentials for Google's Artifact Registry by the identity that this process has at Google Cloud:
// that of its service account (Workload Identity), of its node, or of GOOGLE_APPLICATION_CREDENTIALS.
//
// It is responsible for telling which registries are Google's and for a login for them. It refuses to run gcloud, and
// to give a token to a host that only looks like one of Google's.
package gar

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/google"

	"github.com/sengu-dev/sengu/internal/registry"
)

// scope of the tokens; which repositories they open is a matter of the identity's roles.
const scope = "https://www.googleapis.com/auth/cloud-platform"

// user is the name under which a registry of Google takes a token.
const user = "oauth2accesstoken"

// Helper gives logins for Artifact Registry, and for gcr.io, which is served by it.
type Helper struct{}

var _ registry.Helper = Helper{}

// New makes a Helper. It asks nobody for anything before a login is needed.
func New() Helper { return Helper{} }

// Name is that of the service.
func (Helper) Name() string { return "Google Artifact Registry" }

// Serves says whether a host is one of Google's registries.
func (Helper) Serves(host string) bool {
	return host == "gcr.io" || strings.HasSuffix(host, ".gcr.io") || strings.HasSuffix(host, "-docker.pkg.dev")
}

// Login asks for a token, which holds for about an hour.
func (h Helper) Login(ctx context.Context, host string) (registry.Login, time.Time, error) {
	if !h.Serves(host) {
		return registry.Login{}, time.Time{}, errors.New("it is not one of Google's hosts")
	}
	identity, err := google.FindDefaultCredentials(ctx, scope)
	if err != nil {
		return registry.Login{}, time.Time{}, errors.New("this process has no identity at Google Cloud")
	}
	token, err := identity.TokenSource.Token()
	if err != nil {
		return registry.Login{}, time.Time{}, explain(err)
	}
	return registry.Login{Username: user, Password: token.AccessToken}, token.Expiry, nil
}

// explain keeps of an error what helps, and no answer of a server.
func explain(err error) error {
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) && refused.Response != nil {
		return fmt.Errorf("it answers with status %d", refused.Response.StatusCode)
	}
	return errors.New("it gives no token")
}
