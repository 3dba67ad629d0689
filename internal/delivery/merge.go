package delivery

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
)

// For returns d as it is in environment: with what d says about that environment merged in, and {environment} in paths
// and addresses replaced. Environments stays, so that it can be checked, and so do entries that the environment skips.
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
	d.Images = slices.Clone(d.Images)
	for i := range d.Images {
		u := &d.Images[i].Update
		u.Kustomization, u.ValuesFile, u.MarkedFile = name.Replace(u.Kustomization), name.Replace(u.ValuesFile), name.Replace(u.MarkedFile)
	}
	d.Checks = slices.Clone(d.Checks)
	for i, check := range d.Checks {
		if check.HTTP != nil {
			asked := *check.HTTP
			asked.URL = name.Replace(asked.URL)
			d.Checks[i].HTTP = &asked
		}
	}
	return d
}

// Merge adds what a file in the folder of an environment says to base. Neither is changed. Single fields of over win,
// values are merged key by key, lists come after those of base, but images, steps and checks replace those of base by
// name. A chart of this repository replaces one of a repository of charts as a whole, and the other way round; another
// name or version leaves base's digest behind.
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
	base.CreateNamespace = cmp.Or(over.CreateNamespace, base.CreateNamespace)
	jobs := slices.Concat(base.Jobs(), over.SkippedJobs)
	base.Images = mergeEntries(base.Images, over.Images, func(image, by Image) Image {
		if by.Skip {
			image.Skip = true
			return image
		}
		return by
	})
	base.Before, base.After = mergeEntries(base.Before, over.Before, mergeStep), mergeEntries(base.After, over.After, mergeStep)
	base.Checks = mergeEntries(base.Checks, over.Checks, func(check, by Check) Check {
		if by.Skip {
			check.Skip = true
			return check
		}
		return by
	})
	base.Rollback = cmp.Or(over.Rollback, base.Rollback)
	base.FailAfter = cmp.Or(over.FailAfter, base.FailAfter)
	base.ProgressDeadline = cmp.Or(over.ProgressDeadline, base.ProgressDeadline)
	base.SkippedJobs = base.without(jobs)
	return base
}

// mergeStep replaces a step. One that is skipped still says which Job it is about.
func mergeStep(step, by Step) Step {
	if by.Skip {
		step.Skip = true
		return step
	}
	return by
}

// mergeEntries puts the entries of over in the place of those of the same name in base, and the others after them.
func mergeEntries[T entry](base, over []T, replace func(entry, by T) T) []T {
	merged := slices.Clone(base)
	for _, by := range over {
		i := slices.IndexFunc(merged, func(e T) bool { return e.key() == by.key() })
		if i < 0 {
			merged = append(merged, by)
			continue
		}
		merged[i] = replace(merged[i], by)
	}
	return merged
}

// withoutSkipped leaves the entries out that are skipped. Their Jobs are kept apart, so that nobody applies them.
func (s Settings) withoutSkipped() Settings {
	jobs := s.Jobs()
	s.Images = slices.DeleteFunc(slices.Clone(s.Images), func(i Image) bool { return i.Skip })
	s.Before = slices.DeleteFunc(slices.Clone(s.Before), func(s Step) bool { return s.Skip })
	s.After = slices.DeleteFunc(slices.Clone(s.After), func(s Step) bool { return s.Skip })
	s.Checks = slices.DeleteFunc(slices.Clone(s.Checks), func(c Check) bool { return c.Skip })
	s.SkippedJobs = s.without(jobs)
	return s
}

// without returns those of jobs that no step and no check of s is about.
func (s Settings) without(jobs []string) []string {
	s.SkippedJobs = nil
	run := s.Jobs()
	var rest []string
	for _, job := range jobs {
		if !slices.Contains(run, job) {
			rest = append(rest, job)
		}
	}
	return rest
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
// it says about the environment, then what sengu.yaml in the folder of the environment says, and without what they skip.
// Folders are paths of fsys, and may be the same. A file that is not there says nothing; with neither, the folder of the
// environment is rendered as it is, with everything by default.
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
		if err := refused(idleSkips(d.Settings, added.Settings)); err != nil {
			return Delivery{}, err
		}
		d = Merge(d, added.For(environment))
		if added.Source.Chart != nil {
			file = over
		}
	}
	if err := d.complete(); err != nil {
		return Delivery{}, fmt.Errorf("%s: in environment %s, %w", file, environment, err)
	}
	if err := refused(d.clashes()); err != nil {
		return Delivery{}, err
	}
	d.Settings = d.withoutSkipped()
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
