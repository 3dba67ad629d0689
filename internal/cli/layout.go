package cli

import (
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// place is a folder of a fleet's layout: one service in one environment.
type place struct {
	service string
	env     v1alpha1.Environment
	path    string
}

// layoutName matches what may stand for {service} and {environment}.
const layoutName = `[a-z0-9](?:[a-z0-9-]*[a-z0-9])?`

// places lists the folders of tree that the layout of fleet describes, for the environments that the fleet has.
func places(tree fs.FS, fleet *v1alpha1.Fleet) ([]place, error) {
	dirs := []string{"."}
	elements := strings.Split(fleet.Spec.Layout, "/")
	for _, element := range elements {
		var next []string
		for _, dir := range dirs {
			found, err := matching(tree, dir, element)
			if err != nil {
				return nil, err
			}
			next = append(next, found...)
		}
		dirs = next
	}
	pattern, err := layoutPattern(fleet.Spec.Layout)
	if err != nil {
		return nil, err
	}
	var all []place
	for _, dir := range dirs {
		m := pattern.FindStringSubmatch(dir)
		if m == nil {
			continue
		}
		name := m[pattern.SubexpIndex("environment")]
		i := slices.IndexFunc(fleet.Spec.Environments, func(e v1alpha1.Environment) bool { return e.Name == name })
		if i >= 0 {
			all = append(all, place{service: m[pattern.SubexpIndex("service")], env: fleet.Spec.Environments[i], path: dir})
		}
	}
	return all, nil
}

// layoutPattern is the layout, or one element of it, as a pattern of paths.
func layoutPattern(layout string) (*regexp.Regexp, error) {
	expr := regexp.QuoteMeta(layout)
	expr = strings.ReplaceAll(expr, `\{service\}`, `(?P<service>`+layoutName+`)`)
	expr = strings.ReplaceAll(expr, `\{environment\}`, `(?P<environment>`+layoutName+`)`)
	re, err := regexp.Compile("^" + expr + "$")
	if err != nil {
		return nil, fmt.Errorf("layout %q: %w", layout, err)
	}
	return re, nil
}

// matching lists the folders in dir that one element of a layout describes.
func matching(tree fs.FS, dir, element string) ([]string, error) {
	if !strings.Contains(element, "{") {
		child := path.Join(dir, element)
		if ok, err := isFolder(tree, child); err != nil || !ok {
			return nil, err
		}
		return []string{child}, nil
	}
	pattern, err := layoutPattern(element)
	if err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(tree, dir)
	if err != nil {
		return nil, fmt.Errorf("read folder %s: %w", dir, err)
	}
	var found []string
	for _, entry := range entries {
		child := path.Join(dir, entry.Name())
		if !pattern.MatchString(entry.Name()) {
			continue
		}
		if ok, err := isFolder(tree, child); err != nil {
			return nil, err
		} else if ok {
			found = append(found, child)
		}
	}
	return found, nil
}

func isFolder(tree fs.FS, name string) (bool, error) {
	info, err := fs.Stat(tree, name)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read folder %s: %w", name, err)
	}
	return info.IsDir(), nil
}

// folders returns the folders of a service and of its environment: the path up to the element of the layout that names
// each.
func folders(layout, dir string) (service, environment string) {
	elements := strings.Split(dir, "/")
	upTo := func(placeholder string) string {
		for i, element := range strings.Split(layout, "/") {
			if strings.Contains(element, placeholder) && i < len(elements) {
				return strings.Join(elements[:i+1], "/")
			}
		}
		return dir
	}
	return upTo("{service}"), upTo("{environment}")
}
