package ociserver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/configuration"
	"github.com/distribution/distribution/v3/registry/handlers"
	"github.com/distribution/distribution/v3/registry/storage"
	storagedriver "github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/factory"
	"github.com/distribution/distribution/v3/registry/storage/driver/inmemory"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	v1 "github.com/opencontainers/image-spec/specs-go/v1"
	"github.com/sirupsen/logrus"
	"golang.org/x/crypto/bcrypt"

	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd" // makes itself known to the registry
	_ "github.com/distribution/distribution/v3/registry/auth/token"    // makes itself known to the registry
)

// Options of a registry. The zero value is open to everybody.
type Options struct {
	// Users may push and pull, by name and password; everybody may when there are none.
	Users map[string]string
	// Tokens asks for a bearer token, which Users get at URL/token, in place of basic authentication.
	Tokens bool
	// URL is where the registry will be reached. Needed with Tokens.
	URL string
	// Page is the largest number of tags in one answer; as many as are asked for when zero.
	Page int
	// Notify is the URL of a webhook that is told of pushes, pulls and deletions.
	Notify string
}

// Registry is an OCI registry. It is an http.Handler.
type Registry struct {
	app    *handlers.App
	driver storagedriver.StorageDriver
	tokens *tokenServer // nil without Options.Tokens
	dir    string
}

// driverName is under which the registry finds the driver that is shared with it.
const driverName = "shared"

// handedOver is a driver factory that returns the driver that is among the parameters.
type handedOver struct{}

// Create returns the driver that is handed over.
func (handedOver) Create(_ context.Context, parameters map[string]any) (storagedriver.StorageDriver, error) {
	d, ok := parameters["driver"].(storagedriver.StorageDriver)
	if !ok {
		return nil, errors.New("no driver is handed over")
	}
	return d, nil
}

var register = sync.OnceFunc(func() {
	factory.Register(driverName, handedOver{})
	logrus.SetOutput(io.Discard) // the registry logs to the logger of the process
})

// New makes a registry. Close it when it is not used any more.
func New(opts Options) (*Registry, error) {
	register()
	r := &Registry{driver: inmemory.New()}
	config := &configuration.Configuration{
		Version: "0.1",
		Log:     configuration.Log{AccessLog: configuration.AccessLog{Disabled: true}},
		Storage: configuration.Storage{
			driverName:    {"driver": r.driver},
			"delete":      {"enabled": true},
			"maintenance": {"uploadpurging": map[any]any{"enabled": false}},
		},
		HTTP:    configuration.HTTP{Secret: "of no use beyond this process"},
		Catalog: configuration.Catalog{MaxEntries: 1000},
		Tags:    configuration.Tags{MaxTags: opts.Page},
	}
	if opts.Notify != "" {
		config.Notifications.Endpoints = []configuration.Endpoint{{
			Name: "webhook", URL: opts.Notify, Timeout: 5 * time.Second, Threshold: 3, Backoff: time.Second,
		}}
	}
	if err := r.protect(config, opts); err != nil {
		r.Close()
		return nil, err
	}
	r.app = handlers.NewApp(context.Background(), config)
	return r, nil
}

// protect sets up who may do what.
func (r *Registry) protect(config *configuration.Configuration, opts Options) error {
	if len(opts.Users) == 0 {
		return nil
	}
	var err error
	if r.dir, err = os.MkdirTemp("", "ociserver-"); err != nil {
		return fmt.Errorf("make a folder for the users: %w", err)
	}
	if opts.Tokens {
		keys := filepath.Join(r.dir, "keys.json")
		if r.tokens, err = newTokenServer(opts.Users, keys); err != nil {
			return err
		}
		config.Auth = configuration.Auth{"token": {
			"realm": opts.URL + "/token", "service": service, "issuer": issuer, "jwks": keys,
		}}
		return nil
	}
	var lines []byte
	for user, password := range opts.Users {
		hash, err := bcrypt.GenerateFromPassword([]byte(password), bcrypt.MinCost)
		if err != nil {
			return fmt.Errorf("hash the password of %s: %w", user, err)
		}
		lines = fmt.Appendf(lines, "%s:%s\n", user, hash)
	}
	users := filepath.Join(r.dir, "htpasswd")
	if err := os.WriteFile(users, lines, 0o600); err != nil {
		return fmt.Errorf("write the users: %w", err)
	}
	config.Auth = configuration.Auth{"htpasswd": {"realm": "registry", "path": users}}
	return nil
}

// ServeHTTP answers as a registry, and as its token server.
func (r *Registry) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	if r.tokens != nil && q.URL.Path == "/token" {
		r.tokens.ServeHTTP(w, q)
		return
	}
	r.app.ServeHTTP(w, q)
}

// Tag makes tags of an image that was pushed, without a request for each.
func (r *Registry) Tag(ctx context.Context, repository, dgst string, tags ...string) error {
	named, err := reference.WithName(repository)
	if err != nil {
		return fmt.Errorf("tag %s: %w", repository, err)
	}
	registry, err := storage.NewRegistry(ctx, r.driver)
	if err != nil {
		return fmt.Errorf("tag %s: %w", repository, err)
	}
	var repo distribution.Repository
	if repo, err = registry.Repository(ctx, named); err != nil {
		return fmt.Errorf("tag %s: %w", repository, err)
	}
	service := repo.Tags(ctx)
	for _, tag := range tags {
		if err := service.Tag(ctx, tag, v1.Descriptor{Digest: digest.Digest(dgst)}); err != nil {
			return fmt.Errorf("tag %s:%s: %w", repository, tag, err)
		}
	}
	return nil
}

// Close ends the registry.
func (r *Registry) Close() {
	if r.app != nil {
		_ = r.app.Shutdown() // nothing of it is kept
	}
	if r.dir != "" {
		_ = os.RemoveAll(r.dir)
	}
}
