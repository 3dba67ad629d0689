package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/sengu-dev/sengu/internal/image"
)

// Description is what an image says of itself. An image made for several platforms is described by that for
// linux/amd64, or by its first.
type Description struct {
	// Digest of the image, that of the index if it was made for several platforms.
	Digest string
	// MediaType of what the digest names.
	MediaType string
	// Created is when it was built, zero if it does not tell (see [image.BuildTime]).
	Created time.Time
	// Platform that is described, as "linux/amd64" or "linux/arm64/v8"; "" for what is no image, such as a chart.
	Platform string
	// Platforms that it was made for, at most 64.
	Platforms []string
	// Source is where its code is, and Revision the commit that it was built from, by the labels of the OCI:
	// org.opencontainers.image.source and .revision. Version is what it calls itself. They are what whoever built it
	// says, at most 512 bytes of printable characters each, and prove nothing.
	Source, Revision, Version string
}

// Digest returns the digest that a reference leads to, by one request that costs a registry least, and that Docker Hub
// does not count as a pull. What the registry says is not checked here; whoever pulls by the digest checks it.
func (c *Client) Digest(ctx context.Context, ref image.Reference, creds Credentials) (string, error) {
	q, r, err := c.reference(ref, creds)
	if err != nil {
		return "", err
	}
	var digest string
	q.do = func(ctx context.Context, p *remote.Puller, _ string) (err error) {
		digest, err = head(ctx, p, r)
		return err
	}
	if err := c.ask(ctx, q); err != nil {
		return "", err
	}
	return digest, nil
}

// Describe returns what the image of a reference says of itself. It is asked only once of an image for each credential,
// since what a digest names never changes; a tag costs one request to see which image it leads to.
func (c *Client) Describe(ctx context.Context, ref image.Reference, creds Credentials) (Description, error) {
	q, r, err := c.reference(ref, creds)
	if err != nil {
		return Description{}, err
	}
	var d Description
	q.do = func(ctx context.Context, p *remote.Puller, fingerprint string) (err error) {
		d, err = c.describe(ctx, p, r, fingerprint)
		return err
	}
	if err := c.ask(ctx, q); err != nil {
		return Description{}, err
	}
	return d, nil
}

// reference prepares a call for one image. With a tag and a digest, the digest decides; with neither, the tag latest is
// meant, as for Kubernetes.
func (c *Client) reference(ref image.Reference, creds Credentials) (call, name.Reference, error) {
	q, err := c.prepare(ref.Repository, creds)
	if err != nil {
		return call{}, nil, err
	}
	if (ref.Tag != "" && !image.ValidTag(ref.Tag)) || (ref.Digest != "" && !image.ValidDigest(ref.Digest)) {
		return call{}, nil, fmt.Errorf("image %s: it has a tag or a digest that cannot be", q.subject)
	}
	ref.Repository = q.subject
	q.subject = "image " + ref.String()
	q.missing = "there is no such tag, or no such repository, or the credential may not see it"
	if ref.Digest != "" {
		q.missing = "there is no such image any more, or the credential may not see it"
		return q, q.repo.Digest(ref.Digest), nil
	}
	tag := ref.Tag
	if tag == "" {
		tag = "latest"
	}
	return q, q.repo.Tag(tag), nil
}

// head asks which image a reference leads to. Some registries do not say so without sending the manifest.
func head(ctx context.Context, p *remote.Puller, r name.Reference) (string, error) {
	d, err := p.Head(ctx, r)
	if err == nil && image.ValidDigest(d.Digest.String()) {
		return d.Digest.String(), nil
	}
	if err != nil && !unusable(err) {
		return "", err
	}
	got, err := p.Get(ctx, r)
	if err != nil {
		return "", err
	}
	return got.Digest.String(), nil
}

// unusable says whether an answer to HEAD came, and lacks what a GET brings.
func unusable(err error) bool {
	var (
		answered *transport.Error
		limit    *limitError
		helper   *helperError
	)
	if errors.As(err, &answered) {
		return answered.StatusCode == http.StatusMethodNotAllowed || answered.StatusCode == http.StatusNotImplemented
	}
	for _, other := range []error{errInsecure, errRedirect, errAddress, context.Canceled, context.DeadlineExceeded} {
		if errors.Is(err, other) {
			return false
		}
	}
	return !errors.As(err, &limit) && !errors.As(err, &helper) && network(err) == ""
}

func (c *Client) describe(ctx context.Context, p *remote.Puller, r name.Reference, fingerprint string) (Description, error) {
	type key struct{ fingerprint, digest string }
	digest := r.Identifier()
	if _, byTag := r.(name.Tag); byTag {
		var err error
		if digest, err = head(ctx, p, r); err != nil {
			return Description{}, err
		}
	}
	if d, ok := c.images.Get(key{fingerprint, digest}); ok {
		return d.(Description), nil
	}
	// By its digest, so that what comes is what was promised.
	d, err := read(ctx, p, r.Context().Digest(digest))
	if err != nil {
		return Description{}, err
	}
	c.images.Add(key{fingerprint, digest}, d)
	return d, nil
}
