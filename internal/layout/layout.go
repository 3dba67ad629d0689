// Package layout knows how a Fleet's repository is laid out: which folder holds which service in which environment, and
// what the App of such a folder is called and runs from.
//
// It is pure: it looks at the names in a tree that it is given, and never into a file. It refuses names that no
// Kubernetes object could have.
package layout

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// Place is a folder of the layout: one service in one environment.
type Place struct {
	Service, Environment, Path string
}

// Layout is a parsed FleetSpec.Layout, one pattern for each path element.
type Layout []*regexp.Regexp

// serviceGroup is what {service} becomes in a pattern.
const serviceGroup = `(?P<service>` + nameOf + `)`

// nameOf matches what may stand for {service} and {environment}: a DNS label, since it becomes part of object names.
const nameOf = `[a-z0-9](?:[a-z0-9-]*[a-z0-9])?`

// Parse turns "apps/{service}/overlays/{environment}" into patterns. The schema of Fleet has already refused a
// layout that lacks a placeholder or leaves the repository.
func Parse(s string) (Layout, error) {
	var l Layout
	for element := range strings.SplitSeq(s, "/") {
		expr := regexp.QuoteMeta(element)
		expr = strings.ReplaceAll(expr, `\{service\}`, serviceGroup)
		expr = strings.ReplaceAll(expr, `\{environment\}`, `(?P<environment>`+nameOf+`)`)
		re, err := regexp.Compile("^" + expr + "$")
		if err != nil {
			return nil, fmt.Errorf("layout %q: element %q: %w", s, element, err)
		}
		l = append(l, re)
	}
	return l, nil
}

// literal reports whether pattern i has no placeholder, and the name it stands for.
func (l Layout) literal(i int) (string, bool) {
	if l[i].NumSubexp() > 0 {
		return "", false
	}
	quoted := strings.TrimSuffix(strings.TrimPrefix(l[i].String(), "^"), "$")
	return unquote(quoted), true
}

// unquote undoes regexp.QuoteMeta.
func unquote(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '\\' && i+1 < len(s) {
			i++
		}
		b.WriteByte(s[i])
	}
	return b.String()
}

// List returns the places of fsys that the layout describes, in the order of their paths.
func (l Layout) List(fsys fs.FS) ([]Place, error) {
	d := discovery{layout: l, tree: fsys}
	return d.below(".", 0, Place{})
}

// Found is what is found of one service.
type Found struct {
	// Places are its folders by environment.
	Places map[string]Place
	linked bool
}

// Service looks for the folders of one service alone.
func (l Layout) Service(name string, tree fs.FS) (Found, error) {
	d := discovery{layout: l.of(name), tree: tree}
	places, err := d.below(".", 0, Place{Service: name})
	if err != nil {
		return Found{}, err
	}
	found := Found{Places: map[string]Place{}, linked: d.linked}
	for _, p := range places {
		found.Places[p.Environment] = p
	}
	return found, nil
}

// of is the layout with the name of a service in the place of {service}.
func (l Layout) of(service string) Layout {
	own := make(Layout, len(l))
	for i, re := range l {
		own[i] = regexp.MustCompile(strings.ReplaceAll(re.String(), serviceGroup, regexp.QuoteMeta(service)))
	}
	return own
}

type discovery struct {
	layout Layout
	tree   fs.FS
	// linked is true once a symbolic link was met where a folder is looked for.
	linked bool
	// unreadable are the services of which a folder cannot be read, and why. If it is nil, the first such folder ends the
	// discovery.
	unreadable map[string]error
}

// below lists the places under dir, whose elements match the layout's patterns before depth.
func (d *discovery) below(dir string, depth int, at Place) ([]Place, error) {
	if depth == len(d.layout) {
		return []Place{{Service: at.Service, Environment: at.Environment, Path: dir}}, nil
	}
	return d.read(dir, depth, at)
}

// read looks into dir for the folders that match the pattern at depth.
func (d *discovery) read(dir string, depth int, at Place) ([]Place, error) {
	if name, ok := d.layout.literal(depth); ok {
		return d.enter(path.Join(dir, name), depth+1, at)
	}
	entries, err := fs.ReadDir(d.tree, dir)
	if err != nil {
		return nil, fmt.Errorf("read folder %s: %w", dir, err)
	}
	var found []Place
	for _, entry := range entries {
		next, ok := d.layout.match(entry.Name(), depth, at)
		if !ok || (!entry.IsDir() && entry.Type()&fs.ModeSymlink == 0) {
			continue
		}
		below, err := d.enter(path.Join(dir, entry.Name()), depth+1, next)
		if err != nil {
			return nil, err
		}
		found = append(found, below...)
	}
	return found, nil
}

// enter lists the places under name, if that is a folder. What cannot be read of a service concerns no other.
func (d *discovery) enter(name string, depth int, at Place) ([]Place, error) {
	var found []Place
	isDir, err := d.isDir(name)
	if err == nil && isDir {
		found, err = d.below(name, depth, at)
	}
	if err != nil && at.Service != "" && d.unreadable != nil {
		d.unreadable[at.Service] = err
		return nil, nil
	}
	return found, err
}

// isDir reports whether there is a folder, or a link to one.
func (d *discovery) isDir(name string) (bool, error) {
	info, err := fs.Lstat(d.tree, name)
	if err == nil && info.Mode()&fs.ModeSymlink != 0 {
		d.linked = true
		info, err = fs.Stat(d.tree, name)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read folder %s: %w", name, err)
	}
	return info.IsDir(), nil
}

// match reads the placeholders out of one path element.
func (l Layout) match(name string, depth int, at Place) (Place, bool) {
	re := l[depth]
	m := re.FindStringSubmatch(name)
	if m == nil {
		return at, false
	}
	for i, group := range re.SubexpNames() {
		switch group {
		case "service":
			at.Service = m[i]
		case "environment":
			at.Environment = m[i]
		}
	}
	return at, true
}

// Folders returns the folders of a service and of its environment: the path at, up to the element of the layout that
// holds the placeholder.
func Folders(layout, at string) (service, environment string) {
	elements := strings.Split(at, "/")
	upTo := func(placeholder string) string {
		for i, pattern := range strings.Split(layout, "/") {
			if strings.Contains(pattern, placeholder) && i < len(elements) {
				return strings.Join(elements[:i+1], "/")
			}
		}
		return at
	}
	return upTo("{service}"), upTo("{environment}")
}

// NameOfApp returns the name of the App of one service in one environment of a fleet. None of the three contains a dot,
// so two Apps never share a name.
func NameOfApp(fleet, service, environment string) string {
	return service + "." + environment + "." + fleet
}

// Environment finds an environment of a fleet by its name.
func Environment(fleet *v1alpha1.Fleet, name string) (v1alpha1.Environment, bool) {
	i := slices.IndexFunc(fleet.Spec.Environments, func(e v1alpha1.Environment) bool { return e.Name == name })
	if i < 0 {
		return v1alpha1.Environment{}, false
	}
	return fleet.Spec.Environments[i], true
}

// SpecOf returns what the App of a place, which is in env, should be at revision.
func SpecOf(fleet *v1alpha1.Fleet, env v1alpha1.Environment, at Place, revision string) v1alpha1.AppSpec {
	selfHeal := fleet.Spec.SelfHeal == nil || *fleet.Spec.SelfHeal
	namespace := strings.ReplaceAll(cmp.Or(env.Namespace, "{service}"), "{service}", at.Service)
	namespace = strings.ReplaceAll(namespace, "{environment}", at.Environment)
	return v1alpha1.AppSpec{
		Fleet: fleet.Name, Service: at.Service, Environment: at.Environment,
		Source:             v1alpha1.AppSource{Revision: revision, Path: at.Path, Cluster: env.Cluster, Namespace: namespace},
		ServiceAccountName: fleet.Spec.ServiceAccountName,
		SelfHeal:           &selfHeal,
	}
}
