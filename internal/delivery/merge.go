package delivery

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// For returns d as it is in environment: with what d says about that environment merged in, and {environment} in paths
// replaced. Environments stays, so that it can be checked.
func (d Delivery) For(environment string) Delivery {
	if over, ok := d.Environments[environment]; ok {
		d.Settings = mergeSettings(d.Settings, over)
	}
	name := strings.NewReplacer("{environment}", environment)
	d.Source.ValuesFiles = slices.Clone(d.Source.ValuesFiles)
	for i, file := range d.Source.ValuesFiles {
		d.Source.ValuesFiles[i] = name.Replace(file)
	}
	if d.Source.Chart != nil {
		chart := *d.Source.Chart
		chart.Path = name.Replace(chart.Path)
		d.Source.Chart = &chart
	}
	return d
}

// Merge adds what a file in the folder of an environment says to base. Neither is changed. Single fields of over win,
// values are merged key by key, lists come after those of base. A chart of this repository replaces
// one of a repository of charts as a whole, and the other way round; another name or version leaves base's digest behind.
func Merge(base, over Delivery) Delivery {
	merged := Delivery{Settings: mergeSettings(base.Settings, over.Settings)}
	if len(base.Environments)+len(over.Environments) > 0 {
		merged.Environments = maps.Clone(base.Environments)
		if merged.Environments == nil {
			merged.Environments = map[string]Settings{}
		}
		for name, s := range over.Environments {
			merged.Environments[name] = mergeSettings(merged.Environments[name], s)
		}
	}
	return merged
}

func mergeSettings(base, over Settings) Settings {
	base.Source = mergeSource(base.Source, over.Source)
	base.Ignore = slices.Concat(base.Ignore, over.Ignore)
	base.Health = slices.Concat(base.Health, over.Health)
	if over.Deletion.Prune != "" {
		base.Deletion.Prune = over.Deletion.Prune
	}
	if over.CreateNamespace != nil {
		base.CreateNamespace = over.CreateNamespace
	}
	return base
}

func mergeSource(base, over Source) Source {
	base.Chart = mergeChart(base.Chart, over.Chart)
	if over.ReleaseName != "" {
		base.ReleaseName = over.ReleaseName
	}
	base.ValuesFiles = slices.Concat(base.ValuesFiles, over.ValuesFiles)
	if over.Values != nil {
		base.Values = mergeValues(base.Values, over.Values)
	}
	if over.CRDs != "" {
		base.CRDs = over.CRDs
	}
	if over.AllowNondeterministic != nil {
		base.AllowNondeterministic = over.AllowNondeterministic
	}
	return base
}

func mergeChart(base, over *Chart) *Chart {
	if over == nil || base == nil {
		return orElse(over, base)
	}
	merged := *base
	switch {
	case over.Path != "" || (over.Repository != "" && base.Path != ""):
		merged = Chart{}
	case (over.Name != "" && over.Name != base.Name) || (over.Version != "" && over.Version != base.Version):
		merged.Digest = ""
	}
	for _, f := range []struct {
		to   *string
		from string
	}{
		{&merged.Repository, over.Repository}, {&merged.At, over.At}, {&merged.Path, over.Path}, {&merged.Name, over.Name},
		{&merged.Version, over.Version}, {&merged.Digest, over.Digest},
	} {
		if f.from != "" {
			*f.to = f.from
		}
	}
	return &merged
}

func orElse(a, b *Chart) *Chart {
	if a != nil {
		return a
	}
	return b
}

// mergeValues merges maps key by key, as Helm does with values. A null in over stays, because to Helm it takes the
// default of the chart away.
func mergeValues(base, over map[string]any) map[string]any {
	merged := maps.Clone(base)
	if merged == nil {
		merged = make(map[string]any, len(over))
	}
	for key, value := range over {
		below, isMap := value.(map[string]any)
		have, hadMap := merged[key].(map[string]any)
		if isMap && hadMap {
			merged[key] = mergeValues(have, below)
			continue
		}
		merged[key] = value
	}
	return merged
}

// Read returns how a service is delivered in environment: what sengu.yaml in the folder of the service says, then what
// it says about the environment, then what sengu.yaml in the folder of the environment says. Folders are paths of fsys,
// and may be the same. A file that is not there says nothing; with neither, the folder of the environment is rendered as
// it is, with everything by default.
func Read(fsys fs.FS, serviceFolder, environmentFolder, environment string) (Delivery, error) {
	file := path.Join(serviceFolder, FileName)
	d, err := readFile(fsys, file)
	if err != nil {
		return Delivery{}, err
	}
	d = d.For(environment)
	if over := path.Join(environmentFolder, FileName); over != file {
		added, err := readFile(fsys, over)
		if err != nil {
			return Delivery{}, err
		}
		if len(added.Environments) > 0 {
			return Delivery{}, fmt.Errorf("%s: environments belongs in %s: this file is about one environment", over, file)
		}
		d = Merge(d, added.For(environment))
		if added.Source.Chart != nil {
			file = over
		}
	}
	if err := d.complete(); err != nil {
		return Delivery{}, fmt.Errorf("%s: in environment %s, %w", file, environment, err)
	}
	return d, nil
}

func readFile(fsys fs.FS, name string) (Delivery, error) {
	info, err := fs.Stat(fsys, name)
	if errors.Is(err, fs.ErrNotExist) {
		return Delivery{}, nil
	}
	if err != nil {
		return Delivery{}, fmt.Errorf("read %s: %w", name, err)
	}
	if info.IsDir() {
		return Delivery{}, fmt.Errorf("%s is a folder: it must be a file", name)
	}
	if info.Size() > MaxSize {
		return Delivery{}, fmt.Errorf("%s: the file is larger than %d bytes", name, MaxSize)
	}
	data, err := fs.ReadFile(fsys, name)
	if err != nil {
		return Delivery{}, fmt.Errorf("read %s: %w", name, err)
	}
	return Parse(name, data)
}
