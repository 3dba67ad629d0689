package origin_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/forge"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitrepotest"
)

// secrets are Secrets by their names, as an API server would give them.
type secrets map[string]map[string]string

func (s secrets) Get(_ context.Context, key client.ObjectKey, into client.Object, _ ...client.GetOption) error {
	data, ok := s[key.Name]
	secret, isSecret := into.(*corev1.Secret)
	if !ok || !isSecret || key.Namespace != "sengu" {
		return apierrors.NewNotFound(corev1.Resource("secrets"), key.Name)
	}
	secret.Data = map[string][]byte{}
	for k, v := range data {
		secret.Data[k] = []byte(v)
	}
	return nil
}

func (s secrets) List(context.Context, client.ObjectList, ...client.ListOption) error {
	return errors.New("nothing is listed")
}

func fleetOf(url, gitSecret string, f *v1alpha1.ForgeSource) *v1alpha1.Fleet {
	fleet := &v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Namespace: "sengu", Name: "shop"}}
	fleet.Spec.Git.URL, fleet.Spec.Forge = url, f
	if gitSecret != "" {
		fleet.Spec.Git.SecretRef = &v1alpha1.SecretReference{Name: gitSecret}
	}
	return fleet
}

func options(t *testing.T) origin.ForgeOptions {
	t.Helper()
	return origin.ForgeOptions{Repositories: gitrepotest.Open(t, t.TempDir(), gitrepo.Options{})}
}

func TestForge(t *testing.T) {
	held := secrets{
		"token": {"token": "t0ken"}, "login": {"username": "bot", "password": "s3cret"}, "empty": {},
		"ssh":   {"identity": "-----BEGIN OPENSSH PRIVATE KEY-----", "known_hosts": "git.example.com ssh-ed25519 AAAA"},
		"badca": {"token": "t0ken", "caFile": "none"},
	}
	named := func(f v1alpha1.ForgeSource, secret string) *v1alpha1.ForgeSource {
		if secret != "" {
			f.SecretRef = &v1alpha1.SecretReference{Name: secret}
		}
		return &f
	}
	gitea := v1alpha1.ForgeSource{Kind: "gitea"}
	const public, private = "https://github.com/shop/manifests.git", "https://git.example.com/shop/manifests.git"
	for name, c := range map[string]struct {
		fleet *v1alpha1.Fleet
		none  bool
		says  string // of the error; "" for none
	}{
		"PublicWithToken":      {fleet: fleetOf(public, "token", nil)},
		"PublicWithPassword":   {fleet: fleetOf(public, "login", nil)},
		"PublicAnonymous":      {fleet: fleetOf(public, "", nil), none: true},
		"PublicBySSH":          {fleet: fleetOf("git@github.com:shop/manifests.git", "ssh", nil), none: true},
		"PublicBySSHWithToken": {fleet: fleetOf("git@github.com:shop/manifests.git", "ssh", named(v1alpha1.ForgeSource{}, "token"))},
		"PrivateUnnamed":       {fleet: fleetOf(private, "token", nil), none: true},
		"PrivateNamed":         {fleet: fleetOf(private, "token", &gitea)},
		"PrivateBySSH":         {fleet: fleetOf("git@git.example.com:shop/manifests.git", "ssh", named(gitea, "token")), says: "set its URL"},
		"KindUnknown":          {fleet: fleetOf(private, "token", &v1alpha1.ForgeSource{}), says: "set its kind"},
		"NoSecret":             {fleet: fleetOf(private, "", &gitea), says: "name a Secret that holds one in forge.secretRef"},
		"SecretMissing":        {fleet: fleetOf(private, "", named(gitea, "lost")), says: "read Secret lost that forge.secretRef names"},
		"SecretEmpty":          {fleet: fleetOf(private, "empty", &gitea), says: "the Secret empty that git.secretRef names"},
		"SecretSSH":            {fleet: fleetOf(private, "ssh", &gitea), says: "neither a token nor a GitHub App"},
		"SecretBadCA":          {fleet: fleetOf(private, "badca", &gitea), says: "caFile"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := origin.Forge(t.Context(), held, c.fleet, options(t))
			switch {
			case errors.Is(err, origin.ErrNoForge) != c.none:
				t.Errorf("error %v, want none used: %t", err, c.none)
			case !c.none && (err == nil) != (c.says == ""), err != nil && !strings.Contains(err.Error(), c.says):
				t.Errorf("error %v, want one that says %q", err, c.says)
			case err != nil && (strings.Contains(err.Error(), "t0ken") || strings.Contains(err.Error(), "s3cret")):
				t.Errorf("a secret is in the error %v", err)
			}
		})
	}
}

// TestForgeCredential shows the credential of now: one that is changed is used at once, and a GitHub App becomes a token.
func TestForgeCredential(t *testing.T) {
	var shown []string
	api := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(r.URL.Path, "/access_tokens") {
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"token":"installation","expires_at":"`+time.Now().Add(time.Hour).UTC().Format(time.RFC3339)+`"}`)
			return
		}
		shown = append(shown, strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer "))
		_, _ = io.WriteString(w, "[]")
	}))
	defer api.Close()
	held := secrets{"app": appSecret(t, api.URL), "git": {"token": "first"}}
	sha := strings.Repeat("a", 40)
	tell := func(f forge.Forge) {
		t.Helper()
		_, err := f.OpenPullRequests(t.Context(), "main")
		if err != nil {
			t.Fatal(err)
		}
		_ = f.SetStatus(t.Context(), sha, forge.Status{State: forge.StatusPending, Context: "sengu"}) // its answer is no status
	}
	source := v1alpha1.ForgeSource{Kind: "gitea", API: api.URL + "/api/v1"}
	byToken, err := origin.Forge(t.Context(), held, fleetOf("https://git.example.com/shop/manifests", "git", &source), options(t))
	if err != nil {
		t.Fatal(err)
	}
	tell(byToken)
	held["git"] = map[string]string{"token": "second"}
	tell(byToken)
	byApp, err := origin.Forge(t.Context(), held, fleetOf("https://git.example.com/shop/manifests", "app", &source), options(t))
	if err != nil {
		t.Fatal(err)
	}
	tell(byApp)
	got := strings.Join(shown, " ")
	for _, want := range []string{"first", "second", "installation"} {
		if !strings.Contains(got, want) {
			t.Errorf("the forge was shown %q, without %s", got, want)
		}
	}
	if _, after, _ := strings.Cut(got, "second"); strings.Contains(after, "first") {
		t.Errorf("the old token was shown after it was changed: %q", got)
	}
}

func appSecret(t *testing.T, api string) map[string]string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]string{
		"githubAppID": "1", "githubAppInstallationID": "2", "githubAppBaseURL": api,
		"githubAppPrivateKey": string(pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: x509.MarshalPKCS1PrivateKey(key)})),
	}
}

func TestForgesAreKeptUntilSomethingChanges(t *testing.T) {
	secret := secrets{"forge": {"token": "t"}}
	fleet := fleetOf("https://github.com/shop/manifests.git", "forge", nil)
	forges := origin.NewForges(secret, options(t).Repositories, nil, nil)
	first, err := forges.Of(t.Context(), fleet)
	if err != nil {
		t.Fatal(err)
	}
	if again, err := forges.Of(t.Context(), fleet); err != nil || again != first {
		t.Errorf("it was made anew: %v", err)
	}
	fleet.Generation++
	changed, err := forges.Of(t.Context(), fleet)
	if err != nil || changed == first {
		t.Errorf("it is that of the Fleet as it was before: %v", err)
	}
	delete(secret, "forge")
	if _, err := forges.Of(t.Context(), fleet); err == nil || !strings.Contains(err.Error(), "read Secret forge that git.secretRef names") {
		t.Errorf("without its Secret: %v", err)
	}
	if _, err := forges.Of(t.Context(), fleetOf("https://git.example.com/shop/manifests.git", "forge", nil)); !errors.Is(err, origin.ErrNoForge) {
		t.Errorf("a Fleet on no known forge: %v", err)
	}
}
