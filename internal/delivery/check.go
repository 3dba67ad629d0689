package delivery

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/sengu-dev/sengu/internal/health"
)

var (
	exactVersion    = regexp.MustCompile(`^v?(0|[1-9]\d*)\.(0|[1-9]\d*)\.(0|[1-9]\d*)(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$`)
	sha256Digest    = regexp.MustCompile(`^sha256:[0-9a-f]{64}$`)
	chartName       = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]*$`)
	releaseName     = regexp.MustCompile(`^[a-z0-9]([-a-z0-9]{0,51}[a-z0-9])?$`)
	environmentName = regexp.MustCompile(`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`)
)

// check refuses values that have the right type and make no sense, and turns paths into paths from the root.
func (d *decoder) check(doc *document) {
	d.settings(&doc.Settings, "")
	for name, s := range doc.Environments {
		at := "environments." + name
		if !environmentName.MatchString(name) {
			d.fail(d.lines[at], "environments: %q cannot be the name of an environment", name)
		}
		d.settings(&s, at)
		doc.Environments[name] = s
	}
}

// line returns the line of the field at path, or of the nearest one around it.
func (d *decoder) line(path string) int {
	for {
		if line, ok := d.lines[path]; ok {
			return line
		}
		i := strings.LastIndexAny(path, ".[")
		if i < 0 {
			return 1
		}
		path = path[:i]
	}
}

func (d *decoder) settings(s *Settings, at string) {
	d.source(&s.Source, join(at, "source"))
	for i, rule := range s.Ignore {
		if err := rule.Validate(); err != nil {
			where := fmt.Sprintf("%s[%d]", join(at, "ignore"), i)
			d.fail(d.line(where), "%s: %v", where, err)
		}
	}
	for i, rule := range s.Health {
		if _, err := health.Compile([]health.Rule{rule}); err != nil {
			where := fmt.Sprintf("%s[%d]", join(at, "health"), i)
			d.fail(d.line(where), "%s: %s", where, oneLine(errors.Unwrap(unjoin(err))))
		}
	}
}

// unjoin returns the only error of several that were joined.
func unjoin(err error) error {
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()[0]
	}
	return err
}

// oneLine puts the several lines of an error of CEL into one.
func oneLine(err error) string { return strings.Join(strings.Fields(err.Error()), " ") }

func (d *decoder) source(s *Source, at string) {
	if s.ReleaseName != "" && !releaseName.MatchString(s.ReleaseName) {
		where := join(at, "releaseName")
		d.fail(d.line(where), "%s must be lower-case letters, digits and dashes, at most 53", where)
	}
	for i := range s.ValuesFiles {
		d.path(&s.ValuesFiles[i], fmt.Sprintf("%s[%d]", join(at, "valuesFiles"), i))
	}
	if s.Chart != nil {
		d.chart(s.Chart, join(at, "chart"))
	}
}

func (d *decoder) chart(c *Chart, at string) {
	refuse := func(name, why string) {
		where := join(at, name)
		d.fail(d.line(where), "%s %s", where, why)
	}
	if c.Repository != "" {
		u, err := url.Parse(c.Repository)
		switch {
		case err != nil || u.Host == "" || (u.Scheme != "https" && u.Scheme != "oci" && u.Scheme != "http"):
			refuse("repository", "must be the address of a repository of charts: https://… or oci://…")
		case u.User != nil:
			refuse("repository", "must not carry a user or a password")
		case c.Path != "":
			refuse("path", "and repository exclude each other: a chart comes from here or from there")
		}
		c.At = fmt.Sprintf("%s:%d", d.file, d.line(join(at, "repository")))
	}
	if c.Path != "" {
		d.path(&c.Path, join(at, "path"))
		for _, f := range [][2]string{{"name", c.Name}, {"version", c.Version}, {"digest", c.Digest}} {
			if f[1] != "" && c.Repository == "" {
				refuse(f[0], "does not go with path: a chart in this repository is what the commit says")
			}
		}
	}
	if c.Name != "" && !chartName.MatchString(c.Name) {
		refuse("name", "must be the name of a chart, without slashes")
	}
	if c.Version != "" && !exactVersion.MatchString(c.Version) {
		refuse("version", "must be one exact version, such as 1.2.3: a range would change what runs without a commit")
	}
	if c.Digest != "" && !sha256Digest.MatchString(c.Digest) {
		refuse("digest", "must be sha256: and 64 hexadecimal digits")
	}
}

// path makes *p a path from the root of the repository, and refuses one that leads out of it.
func (d *decoder) path(p *string, at string) {
	clean, err := resolvePath(path.Dir(d.file), *p)
	if err != nil {
		d.fail(d.line(at), "%s %v", at, err)
		return
	}
	*p = clean
}

func resolvePath(folder, p string) (string, error) {
	if p == "" {
		return "", errors.New("is empty")
	}
	if strings.Contains(p, `\`) || strings.ContainsRune(p, 0) || strings.Contains(p, "://") {
		return "", errors.New("must be a path within the repository, with / between its parts")
	}
	rooted := strings.HasPrefix(p, "/")
	if rooted {
		folder, p = ".", strings.TrimLeft(p, "/")
	}
	clean := path.Join(folder, p)
	if !fs.ValidPath(clean) {
		return "", errors.New("leads out of the repository")
	}
	return clean, nil
}

// CheckEnvironments refuses settings for an environment that is none of known, with the one that is probably meant.
// File is the name of the file for the sentence.
func (d Delivery) CheckEnvironments(file string, known []string) error {
	var problems []error
	for name := range d.Environments {
		if slices.Contains(known, name) {
			continue
		}
		hint := "the fleet has " + strings.Join(known, ", ")
		if near := nearest(name, known); near != "" {
			hint = fmt.Sprintf("did you mean %q?", near)
		}
		problems = append(problems, fmt.Errorf("%s: environments: %q is not an environment of the fleet; %s", file, name, hint))
	}
	slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
	return errors.Join(problems...)
}

// complete refuses a chart that cannot be fetched because something is missing, once all files are merged.
func (s Settings) complete() error {
	c := s.Source.Chart
	oci := c != nil && strings.HasPrefix(c.Repository, "oci://")
	switch {
	case c == nil || c.Path != "":
		return nil
	case c.Repository == "":
		return errors.New("source.chart needs a repository, or a path in this repository")
	case c.Name == "" && !oci:
		return errors.New("source.chart needs a name")
	case c.Version == "" && (!oci || c.Digest == ""):
		return errors.New("source.chart needs a version")
	}
	return nil
}
