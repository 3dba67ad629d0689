package delivery

import (
	"fmt"
	"regexp"
	"strings"

	"github.com/Masterminds/semver/v3"

	"github.com/sengu-dev/sengu/internal/manifest"
)

// The parts of a reference to an image, as the distribution specification of the OCI has them.
const (
	hostPattern = `[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*(:[0-9]+)?`
	pathPattern = `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*`
	tagPattern  = `[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}`
)

var (
	repositoryName = regexp.MustCompile(`^(` + hostPattern + `)/` + pathPattern + `$`)
	imageReference = regexp.MustCompile(`^(` + hostPattern + `/)?` + pathPattern + `(:` + tagPattern + `)?(@sha256:[0-9a-f]{64})?$`)
	tagName        = regexp.MustCompile(`^` + tagPattern + `$`)
	// imageName is what a kustomization may have in the name of an image.
	imageName = regexp.MustCompile(`^[A-Za-z0-9]([A-Za-z0-9._/:-]{0,253}[A-Za-z0-9])?$`)
)

const (
	// maxPattern is how long a regular expression may be, in bytes.
	maxPattern = 1000
	// maxReference is how long the name of a repository may be, in bytes.
	maxReference = 255
)

func (d *decoder) image(image *Image, at string) {
	image.At = d.at(at)
	if !imageName.MatchString(image.Name) {
		d.refuse(at, "name", "must be the name of an image, without a tag and without spaces")
	}
	switch {
	case image.Repository != "":
		d.repository(image.Repository, at)
	case !image.Skip:
		d.fail(d.line(at), "%s needs a repository, such as registry.example.com/shop/checkout", at)
	}
	if _, there := d.lines[join(at, "track")]; there || !image.Skip {
		d.track(image.Track, join(at, "track"))
	}
	d.update(&image.Update, join(at, "update"))
}

func (d *decoder) repository(repository, at string) {
	host, rest, _ := strings.Cut(repository, "/")
	switch {
	case strings.Contains(repository, "://"):
		d.refuse(at, "repository", "must be without oci:// or https:// in front, such as registry.example.com/shop/checkout")
	case strings.ContainsAny(rest, ":@"):
		d.refuse(at, "repository", "must be without a tag or a digest: track says which tag is followed")
	case rest == "" || !strings.ContainsAny(host, ".:") && host != "localhost":
		d.refuse(at, "repository", "must begin with the registry, such as registry.example.com/shop/checkout (docker.io for Docker Hub)")
	case !repositoryName.MatchString(repository) || len(repository) > maxReference:
		d.refuse(at, "repository", "must be a registry and a path of lower-case letters, such as registry.example.com/shop/checkout")
	}
}

func (d *decoder) track(t Track, at string) {
	chosen := 0
	for _, is := range []bool{t.Semver != "", t.Newest, t.Digest != "", t.Alphabetical != ""} {
		if is {
			chosen++
		}
	}
	if chosen != 1 {
		d.fail(d.line(at), "%s needs exactly one of semver, newest, digest and alphabetical, such as semver: \">=1.0.0\"", at)
	}
	if t.Semver != "" {
		if len(t.Semver) > maxPattern || !isRange(t.Semver) {
			d.refuse(at, "semver", `must be a range of versions, such as ">=1.0.0", "1.x" or ">=1.2.0 <2.0.0"`)
		}
	}
	if t.Digest != "" && !tagName.MatchString(t.Digest) {
		d.refuse(at, "digest", "must be a tag, such as latest: its digest is followed")
	}
	d.pattern(t.Allow, at, "allow")
	d.pattern(t.Ignore, at, "ignore")
	if t.Digest != "" {
		for name, expr := range map[string]string{"allow": t.Allow, "ignore": t.Ignore} {
			if expr != "" {
				d.refuse(at, name, "does not go with digest, which follows one tag")
			}
		}
	}
}

func isRange(text string) bool {
	_, err := semver.NewConstraint(text)
	return err == nil
}

// pattern refuses a regular expression that is none.
func (d *decoder) pattern(expr, at, name string) {
	if len(expr) > maxPattern {
		d.refuse(at, name, fmt.Sprintf("is longer than %d letters", maxPattern))
		return
	}
	if _, err := regexp.Compile(expr); err != nil {
		d.refuse(at, name, `must be a regular expression (RE2), such as "^v[0-9]+$"`)
	}
}

func (d *decoder) update(u *Update, at string) {
	files := []struct {
		name string
		path *string
	}{{"kustomization", &u.Kustomization}, {"valuesFile", &u.ValuesFile}, {"markedFile", &u.MarkedFile}}
	first := ""
	for _, f := range files {
		if *f.path == "" {
			continue
		}
		if first != "" {
			d.refuse(at, f.name, "and "+first+" exclude each other: the tag is written in one place")
		}
		first = f.name
		d.path(f.path, join(at, f.name))
	}
	switch {
	case u.ValuesFile != "" && u.Key == "":
		d.refuse(at, "valuesFile", "needs a key beside it: the field to write, such as image.tag")
	case u.ValuesFile == "" && u.Key != "":
		d.refuse(at, "key", "needs a valuesFile beside it: the file that it is in")
	case u.Key != "":
		field, err := manifest.ParseFieldPath(u.Key)
		if err != nil || strings.Contains(field.String(), "[*]") {
			d.refuse(at, "key", "must be the way to one field, such as image.tag")
		}
	}
}
