package registry

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/types"

	"github.com/sengu-dev/sengu/internal/image"
)

// Bounds of what is taken from an image.
const (
	maxPlatforms = 64
	maxLabel     = 512 // bytes
	maxDepth     = 2   // of indexes in indexes
)

// Labels that tell where an image comes from. Source: OCI image specification, "Pre-Defined Annotation Keys".
const (
	labelSource   = "org.opencontainers.image.source"
	labelRevision = "org.opencontainers.image.revision"
	labelVersion  = "org.opencontainers.image.version"
)

// errManifest says that a manifest is not one.
var errManifest = errors.New("the manifest cannot be understood")

// manifest is what is read of a manifest, be it of an image or an index.
type manifest struct {
	MediaType   string            `json:"mediaType"`
	Config      descriptor        `json:"config"`
	Manifests   []descriptor      `json:"manifests"`
	Annotations map[string]string `json:"annotations"`
}

type descriptor struct {
	MediaType   string            `json:"mediaType"`
	Digest      string            `json:"digest"`
	Size        int64             `json:"size"`
	Annotations map[string]string `json:"annotations"`
	Platform    *platform         `json:"platform"`
}

type platform struct {
	OS           string `json:"os"`
	Architecture string `json:"architecture"`
	Variant      string `json:"variant"`
}

// config is what is read of the configuration of an image.
type config struct {
	platform
	Created string `json:"created"`
	Config  struct {
		Labels map[string]string `json:"Labels"`
	} `json:"config"`
}

// String writes a platform as docker does; "" if it is none.
func (p platform) String() string {
	if p.OS == "" || p.OS == "unknown" || p.Architecture == "" {
		return ""
	}
	s := p.OS + "/" + p.Architecture
	if p.Variant != "" {
		s += "/" + p.Variant
	}
	return clean(s)
}

// read fetches what an image says of itself.
func read(ctx context.Context, p *remote.Puller, ref name.Digest) (Description, error) {
	d := Description{Digest: ref.DigestStr()}
	var notes []map[string]string // of the outermost first
	for depth := 0; ; depth++ {
		got, err := p.Get(ctx, ref)
		if err != nil {
			return Description{}, err
		}
		m, err := parse(got)
		if err != nil {
			return Description{}, err
		}
		if depth == 0 {
			d.MediaType = clean(m.MediaType)
		}
		notes = append(notes, m.Annotations)
		if len(m.Manifests) == 0 {
			cfg, err := configuration(got, m)
			if err != nil {
				return Description{}, err
			}
			d.fill(cfg, notes)
			return d, nil
		}
		if depth == maxDepth {
			return Description{}, errManifest
		}
		if depth == 0 {
			d.Platforms = m.platforms()
		}
		child := m.child()
		if child == nil {
			d.fill(config{}, notes) // an index of what is no image
			return d, nil
		}
		if !image.ValidDigest(child.Digest) {
			return Description{}, errManifest
		}
		notes = append(notes, child.Annotations)
		ref = ref.Context().Digest(child.Digest)
	}
}

func parse(got *remote.Descriptor) (manifest, error) {
	var m manifest
	if got.MediaType == types.DockerManifestSchema1 || got.MediaType == types.DockerManifestSchema1Signed {
		return manifest{MediaType: string(got.MediaType)}, nil // from before 2016: it has a digest, and tells nothing
	}
	if err := json.Unmarshal(got.Manifest, &m); err != nil {
		return manifest{}, errManifest
	}
	if m.MediaType == "" {
		m.MediaType = string(got.MediaType)
	}
	return m, nil
}

// configuration reads the configuration of an image; that of anything else is left alone.
func configuration(got *remote.Descriptor, m manifest) (config, error) {
	switch types.MediaType(m.Config.MediaType) {
	case types.OCIConfigJSON, types.DockerConfigJSON:
	default:
		return config{}, nil
	}
	if m.Config.Size > maxDocument {
		return config{}, errTooLarge
	}
	img, err := got.Image()
	if err != nil {
		return config{}, err
	}
	raw, err := img.RawConfigFile()
	if err != nil {
		return config{}, err
	}
	var c config
	if err := json.Unmarshal(raw, &c); err != nil {
		return config{}, errManifest
	}
	return c, nil
}

func (m manifest) platforms() []string {
	var all []string
	for _, d := range m.Manifests {
		if d.Platform == nil || len(all) == maxPlatforms {
			continue
		}
		if s := d.Platform.String(); s != "" && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	return all
}

// child returns the image of an index that stands for all: that for linux/amd64, or the first. Attestations are listed
// beside images, for a platform that is unknown.
func (m manifest) child() *descriptor {
	var first *descriptor
	for i := range m.Manifests {
		d := &m.Manifests[i]
		if d.Platform != nil && d.Platform.String() == "" || d.Annotations["vnd.docker.reference.type"] != "" {
			continue
		}
		if d.Platform != nil && d.Platform.OS == "linux" && d.Platform.Architecture == "amd64" {
			return d
		}
		if first == nil {
			first = d
		}
	}
	return first
}

// fill takes over what the labels say, or else the annotations, the innermost first.
func (d *Description) fill(c config, notes []map[string]string) {
	d.Platform = c.String()
	if d.Platform != "" && len(d.Platforms) == 0 {
		d.Platforms = []string{d.Platform}
	}
	sources := []map[string]string{c.Config.Labels}
	for _, n := range slices.Backward(notes) {
		sources = append(sources, n)
	}
	all := func(key string) []string {
		var values []string
		for _, s := range sources {
			if v := clean(s[key]); v != "" {
				values = append(values, v)
			}
		}
		return append(values, "")
	}
	d.Source, d.Revision, d.Version = all(labelSource)[0], all(labelRevision)[0], all(labelVersion)[0]
	created, _ := time.Parse(time.RFC3339, c.Created) // zero if it does not tell
	d.Created = image.BuildTime(created, all(image.LabelCreated)...)
}

// clean lets through what a sentence or a page can bear, and nothing else.
func clean(s string) string {
	s = strings.TrimSpace(s)
	if len(s) > maxLabel || !utf8.ValidString(s) || strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return ""
	}
	return s
}
