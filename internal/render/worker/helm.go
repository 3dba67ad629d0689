package worker

import (
	"bytes"
	"errors"
	"io/fs"
	"path"
	"slices"
	"strings"

	"helm.sh/helm/v4/pkg/chart/loader/archive"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/ignore"

	"github.com/sengu-dev/sengu/internal/render/wire"
)

// helm renders the chart in dir, or the chart outside of the repository that the job names.
func (j *job) helm(dir string) error {
	in := inflation{dir: dir, release: j.ReleaseName, namespace: j.Namespace, kubeVersion: j.KubeVersion, apiVersions: j.APIVersions}
	if in.release == "" {
		in.release = path.Base(j.Path)
	}
	if in.namespace == "" {
		in.namespace = "default"
	}
	var err error
	if j.Chart != nil {
		in.dir = chartTitle(*j.Chart)
		in.files, err = j.fetchChart(*j.Chart)
	} else {
		in.files, err = j.chartFiles(dir)
	}
	if err != nil {
		return err
	}
	if in.values, err = j.mergedValues(j.ValuesFiles, j.Values); err != nil {
		return err
	}
	out, err := j.inflate(in)
	if err != nil {
		return err
	}
	for _, crd := range out.chart.CRDObjects() {
		if err := j.addRendered(in.file(crd.Filename), crd.File.Data); err != nil {
			return err
		}
	}
	for _, m := range out.manifests {
		if err := j.addRendered(in.file(m.Name), []byte(m.Content)); err != nil {
			return err
		}
	}
	for _, h := range out.hooks {
		if err := j.addRendered(in.file(h.Path), []byte(h.Manifest)); err != nil {
			return err
		}
	}
	if len(j.out.Objects) == 0 {
		return faultf(in.dir, 0, "the chart in %s renders no object with these values, and an empty render is never taken for a wish to delete", in.dir)
	}
	return nil
}

func chartTitle(c wire.Chart) string {
	t := strings.TrimSuffix(c.Repository, "/")
	if c.Name != "" {
		t += "/" + c.Name
	}
	return t
}

// addRendered adds the objects that a template rendered.
func (j *job) addRendered(file string, text []byte) error {
	if f := checkAliases(file, text); f != nil {
		return f
	}
	// Helm prints a newline after each object, which a block of text at the end of one takes as its own.
	docs, err := parseYAML(file, append(slices.Clip(text), '\n'))
	if err != nil {
		if f, ok := asFault(err); ok && f.Line > 0 {
			return faultf(file, 0, "%s renders something that is no YAML: line %d, counted in its output, which helm template --debug shows", file, f.Line)
		}
		return err
	}
	for _, d := range docs {
		if err := j.document(file, d, true); err != nil {
			return err
		}
	}
	return nil
}

// chartFiles reads the chart in dir, without what its .helmignore names.
func (j *job) chartFiles(dir string) ([]*archive.BufferedFile, error) {
	rules := ignore.Empty()
	if data, err := j.vfs.readFile(join(dir, ignore.HelmIgnore)); err == nil {
		if rules, err = ignore.Parse(bytes.NewReader(data)); err != nil {
			return nil, faultf(join(dir, ignore.HelmIgnore), 0, "%s cannot be read: %s", join(dir, ignore.HelmIgnore), firstLine(err.Error()))
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	rules.AddDefaults()
	var files []*archive.BufferedFile
	err := j.vfs.walk(dir, func(r string, isDir bool) error {
		ignored := rules.Ignore(r, fileInfo{name: path.Base(r), dir: isDir})
		switch {
		case isDir && ignored:
			return fs.SkipDir
		case isDir || ignored:
			return nil
		}
		data, err := j.vfs.readFile(join(dir, r))
		if errors.Is(err, fs.ErrNotExist) { // it was in the list of its folder
			return faultf(join(dir, r), 0, "%s is a symbolic link that leads to nothing: remove it, or commit what it should lead to", join(dir, r))
		}
		if err != nil {
			return err
		}
		files = append(files, &archive.BufferedFile{Name: r, Data: bytes.TrimPrefix(data, []byte("\xEF\xBB\xBF"))})
		return nil
	})
	return files, err
}

// mergedValues merges values files of the tree, the last one wins, and then values.
func (j *job) mergedValues(files []string, values map[string]any) (map[string]any, error) {
	merged := map[string]any{}
	for _, f := range files {
		data, err := j.vfs.readFile(f)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, faultf(f, 0, "the values file %s does not exist in this revision", f)
		}
		if err != nil {
			return nil, err
		}
		m, err := loadValues(f, data)
		if err != nil {
			return nil, err
		}
		merged = loader.MergeMaps(merged, m)
	}
	return loader.MergeMaps(merged, values), nil
}

// loadValues reads a values file strictly: a key that stands twice is refused, as the first one would be lost.
func loadValues(file string, data []byte) (map[string]any, error) {
	docs, err := parseYAML(file, data)
	if err != nil {
		return nil, err
	}
	for _, d := range docs {
		s, err := inspect(file, d)
		if err != nil {
			return nil, err
		}
		if len(s.duplicates) > 0 {
			return nil, faultf(file, s.duplicates[0], "%s sets a key that the same map has already: remove one of them", at(file, s.duplicates[0]))
		}
	}
	m, err := loader.LoadValues(bytes.NewReader(data))
	if err != nil {
		return nil, yamlFault(file, err)
	}
	return m, nil
}
