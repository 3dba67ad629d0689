package remote

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/Masterminds/semver/v3"
	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	ocr "github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
)

const (
	maxArchive = 32 << 20 // bytes of a chart archive
	maxIndex   = 64 << 20 // bytes of an index.yaml
)

// Ref names a chart.
type Ref struct {
	Repository, Name, Version string
	Digest                    string // "" or "sha256:…"
	Devel                     bool   // a range may choose a pre-release
	URL                       string // where the index of Repository says that the archive is; "" before it was asked

	reader string // whose credentials it is fetched with, by [Policy.Reader]
}

// String names the chart for people.
func (r Ref) String() string {
	s := hide(strings.TrimSuffix(r.Repository, "/"))
	if r.Name != "" {
		s += "/" + r.Name
	}
	if r.Version != "" {
		s += " " + r.Version
	}
	return s
}

// Answer is the archive of a chart, or the index of its repository when the archive is not known yet: whoever asked
// looks into the index, where a hostile one does no harm, and asks again with [Ref.URL].
type Answer struct {
	Archive []byte
	Digest  string // of the archive
	Index   []byte
}

// Chart fetches a chart, from disk when it is there. A version that is not exact is looked up anew each time.
func (c *Client) Chart(ctx context.Context, p Policy, r Ref) (Answer, error) {
	base := strings.TrimSuffix(r.Repository, "/")
	oci := strings.HasPrefix(base, "oci://")
	if oci && r.Name != "" {
		base += "/" + r.Name
	}
	if err := p.Allows(base); err != nil {
		return Answer{}, err
	}
	r.reader = p.Reader(c.key)
	if data, digest, ok := c.known(r); ok {
		return Answer{Archive: data, Digest: digest}, nil
	}
	if oci {
		return c.fromOCI(ctx, p, base, r)
	}
	if r.URL == "" {
		if r.Name == "" {
			return Answer{}, &Refusal{Sentence: fmt.Sprintf("the chart of %s has no name", hide(r.Repository))}
		}
		index, err := get(ctx, p, base+"/index.yaml", maxIndex)
		return Answer{Index: index}, err
	}
	u, err := resolve(base, r.URL)
	if err != nil {
		return Answer{}, err
	}
	data, err := get(ctx, p, u, maxArchive)
	if err != nil {
		return Answer{}, err
	}
	return c.keep(r, data, "")
}

// resolve makes the URL of an archive absolute. One relative to the repository keeps its query, which may sign it.
func resolve(base, ref string) (string, error) {
	b, err := url.Parse(base + "/")
	if err == nil {
		var u *url.URL
		if u, err = url.Parse(ref); err == nil {
			out := b.ResolveReference(u)
			if out.RawQuery == "" && !u.IsAbs() {
				out.RawQuery = b.RawQuery
			}
			return out.String(), nil
		}
	}
	return "", &Refusal{Sentence: fmt.Sprintf("the index of %s names an archive by something that is no URL", hide(base))}
}

// keep checks the digest of an archive and stores it. manifest is the digest of the OCI manifest that names it.
func (c *Client) keep(r Ref, data []byte, manifest string) (Answer, error) {
	digest := digestOf(data)
	if r.Digest != "" && r.Digest != digest && r.Digest != manifest && "sha256:"+r.Digest != digest {
		return Answer{}, &Refusal{Sentence: fmt.Sprintf("chart %s has the digest %s and %s is expected: somebody replaced it", r, digest, r.Digest)}
	}
	c.store(r, digest, data)
	return Answer{Archive: data, Digest: digest}, nil
}

// chartLayers are the media types of the layer that holds a chart.
var chartLayers = map[string]bool{
	"application/vnd.cncf.helm.chart.content.v1.tar+gzip": true,
	"application/tar+gzip":                                true,
}

func (c *Client) fromOCI(ctx context.Context, p Policy, base string, r Ref) (Answer, error) {
	s, _ := p.find(base)
	var opts []name.Option
	if s.PlainHTTP {
		opts = append(opts, name.Insecure)
	}
	repo, err := name.NewRepository(strings.TrimPrefix(base, "oci://"), opts...)
	if err != nil {
		return Answer{}, &Refusal{Sentence: fmt.Sprintf("%s is no OCI repository", hide(base))}
	}
	host := (&url.URL{Host: repo.RegistryStr()}).Hostname()
	hc, t, err := client(s, host)
	if err != nil {
		return Answer{}, err
	}
	defer t.CloseIdleConnections()
	o := []ocr.Option{ocr.WithContext(ctx), ocr.WithUserAgent("sengu"), ocr.WithTransport(limited{hc}), ocr.WithAuth(auth(s))}
	ref, err := c.ociReference(repo, r, o)
	if err != nil {
		return Answer{}, ociFault(ctx, r, err)
	}
	img, err := ocr.Image(ref, o...)
	if err != nil {
		return Answer{}, ociFault(ctx, r, err)
	}
	manifest, err := img.Digest()
	if err != nil {
		return Answer{}, ociFault(ctx, r, err)
	}
	data, err := chartLayer(img, r)
	if err != nil {
		return Answer{}, ociFault(ctx, r, err)
	}
	return c.keep(r, data, manifest.String())
}

func chartLayer(img v1.Image, r Ref) ([]byte, error) {
	layers, err := img.Layers()
	if err != nil {
		return nil, err
	}
	for _, l := range layers {
		mt, err := l.MediaType()
		if err != nil || !chartLayers[string(mt)] {
			continue
		}
		if size, err := l.Size(); err != nil || size > maxArchive {
			return nil, &Refusal{Sentence: fmt.Sprintf("chart %s is larger than %d MiB, which is what may be fetched", r, maxArchive>>20)}
		}
		rc, err := l.Compressed()
		if err != nil {
			return nil, err
		}
		defer func() { _ = rc.Close() }() // it only reads
		return io.ReadAll(io.LimitReader(rc, maxArchive))
	}
	return nil, &Refusal{Sentence: fmt.Sprintf("%s is in the registry, and is not a Helm chart", r)}
}

// ociReference finds the tag for a version.
func (c *Client) ociReference(repo name.Repository, r Ref, o []ocr.Option) (name.Reference, error) {
	if strings.HasPrefix(r.Version, "sha256:") {
		return repo.Digest(r.Version), nil
	}
	if exact(r.Version) {
		return repo.Tag(strings.ReplaceAll(r.Version, "+", "_")), nil
	}
	tags, err := ocr.List(repo, o...)
	if err != nil {
		return nil, err
	}
	versions := make([]string, 0, len(tags))
	for _, t := range tags {
		versions = append(versions, strings.ReplaceAll(t, "_", "+"))
	}
	best, err := Newest(versions, r.Version, r.Devel)
	if err != nil {
		return nil, &Refusal{Sentence: fmt.Sprintf("chart %s: %s", r, err)}
	}
	return repo.Tag(strings.ReplaceAll(best, "+", "_")), nil
}

// exact tells whether a version is one version and not a range.
func exact(v string) bool {
	_, err := semver.StrictNewVersion(strings.TrimPrefix(v, "v"))
	return err == nil
}

// Newest chooses the newest of versions that fits the range, as Helm does: the exact one when it is there, and no
// pre-release unless the range or devel asks for one.
func Newest(versions []string, want string, devel bool) (string, error) {
	for _, v := range versions {
		if v == want {
			return v, nil
		}
	}
	if want == "" {
		want = "*"
		if devel {
			want = ">0.0.0-0"
		}
	}
	rule, err := semver.NewConstraint(want)
	if err != nil {
		return "", fmt.Errorf("%q is no version and no range of versions", want)
	}
	best, name := (*semver.Version)(nil), ""
	for _, v := range versions {
		s, err := semver.NewVersion(v)
		if err == nil && rule.Check(s) && (best == nil || s.GreaterThan(best)) {
			best, name = s, v
		}
	}
	if best == nil {
		return "", fmt.Errorf("no version of it fits %s", want)
	}
	return name, nil
}

func auth(s Source) authn.Authenticator {
	switch {
	case s.Token != "":
		return &authn.Bearer{Token: s.Token}
	case s.Username != "" || s.Password != "":
		return &authn.Basic{Username: s.Username, Password: s.Password}
	}
	return authn.Anonymous
}

// limited makes a transport of a client, so that its rules about redirects hold for a registry, too.
type limited struct{ c *http.Client }

// RoundTrip sends a request, and follows redirects that lead to blobs elsewhere.
func (l limited) RoundTrip(q *http.Request) (*http.Response, error) {
	if q.Method != http.MethodGet && q.Method != http.MethodHead {
		return l.c.Transport.RoundTrip(q)
	}
	return l.c.Do(q)
}

func ociFault(ctx context.Context, r Ref, err error) error {
	var refusal *Refusal
	if errors.As(err, &refusal) {
		return err
	}
	var te *transport.Error
	if errors.As(err, &te) {
		return status("chart "+r.String(), te.StatusCode)
	}
	return unreachable(ctx, "chart "+r.String(), err)
}
