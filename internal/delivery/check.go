package delivery

import (
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"path"
	"regexp"
	"slices"
	"strconv"
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
	if len(d.problems) > 0 {
		return
	}
	d.clash(doc.clashes())
	for _, s := range doc.Environments {
		d.clash(idleSkips(doc.Settings, s))
		if len(d.problems) == 0 {
			d.clash(mergeSettings(doc.Settings, s).clashes())
		}
	}
}

// clash adds clashes, all of them within this file.
func (d *decoder) clash(found []clash) {
	for _, c := range found {
		line, err := strconv.Atoi(c.at[strings.LastIndexByte(c.at, ':')+1:])
		if err != nil {
			line = 1
		}
		d.fail(line, "%s", c.text)
	}
}

// at returns the file and the line of the field at path.
func (d *decoder) at(path string) string { return fmt.Sprintf("%s:%d", d.file, d.line(path)) }

// refuse says what is wrong with a field of what is at a path.
func (d *decoder) refuse(at, name, why string) {
	where := join(at, name)
	d.fail(d.line(where), "%s %s", where, why)
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
	entries(d, s.Images, join(at, "images"), d.image)
	entries(d, s.Before, join(at, "before"), d.step)
	entries(d, s.After, join(at, "after"), d.step)
	entries(d, s.Checks, join(at, "checks"), d.checkEntry)
	d.rollback(s.Rollback, join(at, "rollback"))
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

// maxEntries is how many images, steps or checks one list may have.
const maxEntries = 50

// entry is one of a list whose entries replace each other by name.
type entry interface {
	Image | Step | Check
	key() string
}

func (i Image) key() string { return i.Name }
func (s Step) key() string  { return s.Name }
func (c Check) key() string { return c.Name }

// entries checks each entry of a list, and refuses a list that is too long, an empty entry, and a name that is there
// twice.
func entries[T entry](d *decoder, list []T, at string, check func(e *T, at string)) {
	if len(list) > maxEntries {
		d.fail(d.line(at), "%s has more than %d entries", at, maxEntries)
		return
	}
	first := map[string]int{}
	for i := range list {
		where := at + "[" + strconv.Itoa(i) + "]"
		if _, there := d.lines[where]; !there {
			d.fail(d.line(at), "%s is empty", where)
			continue
		}
		check(&list[i], where)
		key := list[i].key()
		if before, twice := first[key]; twice && key != "" {
			d.fail(d.line(where), "%s has the name of the entry in line %d: names are unique, so that an environment can replace an entry", where, before)
			continue
		}
		first[key] = d.line(where)
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
	refuse := func(name, why string) { d.refuse(at, name, why) }
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
		c.At = d.at(join(at, "repository"))
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
