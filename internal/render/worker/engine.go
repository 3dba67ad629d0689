package worker

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/template"
	_ "time/tzdata" // templates may name a time zone, and the sandbox has no files

	"helm.sh/helm/v4/pkg/chart/common"
	chartvalues "helm.sh/helm/v4/pkg/chart/common/util"
	"helm.sh/helm/v4/pkg/chart/loader/archive"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	chartutil "helm.sh/helm/v4/pkg/chart/v2/util"
	"helm.sh/helm/v4/pkg/engine"
	release "helm.sh/helm/v4/pkg/release/v1"
	releaseutil "helm.sh/helm/v4/pkg/release/v1/util"
)

const notes = "NOTES.txt"

// inflation is one run of `helm template`.
type inflation struct {
	dir         string // where the chart is in the tree, or its name when it is not from there
	files       []*archive.BufferedFile
	release     string
	namespace   string
	values      map[string]any
	kubeVersion string
	apiVersions []string
}

// inflated is what a chart renders to.
type inflated struct {
	chart     *chart.Chart
	manifests []releaseutil.Manifest
	hooks     []*release.Hook
}

// inflate renders a chart as `helm template` does.
func (j *job) inflate(in inflation) (*inflated, error) {
	first := newStance()
	files, c, err := j.runEngine(in, first, true)
	if err != nil {
		return nil, err
	}
	if used := first.undecided(); len(used) > 0 {
		if files, err = j.settle(in, used, files); err != nil {
			return nil, err
		}
	}
	size := 0
	for _, text := range files {
		size += len(text)
	}
	if size > j.OutputLimit { // before anything parses it
		return nil, faultf(in.dir, 0, "the chart in %s renders to more than %d MiB: split it into several Apps", in.dir, j.OutputLimit>>20)
	}
	out := &inflated{chart: c}
	out.hooks, out.manifests, err = releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil {
		return nil, in.manifestFault(err)
	}
	j.noticeUnknownHooks(in, files, len(out.hooks)+len(out.manifests))
	return out, nil
}

// settle decides what undecided functions mean for the output: nothing, a refusal, or that they may do as they like.
func (j *job) settle(in inflation, used []string, files map[string]string) (map[string]string, error) {
	if j.AllowNondeterministic {
		files, _, err := j.runEngine(in, nil, false)
		return files, err
	}
	if j.same(in, files, "*", 0) {
		return files, nil
	}
	name, call := j.guilty(in, used, files)
	s := newStance()
	s.refuse, s.only = name, call
	_, _, err := j.runEngine(in, s, false)
	file, line := in.dir, 0
	if f, ok := asFault(err); ok {
		file, line = f.File, f.Line
	}
	return nil, faultf(file, line, "%s uses %s, which gives another value at every render: set the value it stands in for, or set allowNondeterministic in the Delivery", at(file, line), name)
}

// maxCalls bounds how many calls of one function are tried for the one to name.
const maxCalls = 50

// guilty finds the function, and which of its calls, that decides the output. The call is 0 when it takes several.
func (j *job) guilty(in inflation, used []string, files map[string]string) (name string, call int) {
	for _, name := range used {
		if j.same(in, files, name, 0) {
			continue
		}
		for call := 1; call <= maxCalls; call++ {
			if !j.same(in, files, name, call) {
				return name, call
			}
		}
		return name, 0
	}
	return used[0], 0
}

// same tells whether the chart renders the same when a function, in all of its calls or in one, gives another value.
func (j *job) same(in inflation, files map[string]string, name string, call int) bool {
	s := newStance()
	s.other, s.only = map[string]bool{name: true}, call
	other, _, err := j.runEngine(in, s, false)
	return err == nil && slices.Equal(decisive(files), decisive(other))
}

// decisive returns what of a rendered chart is ever used: all but the hooks that are not run, such as tests, which like
// to give themselves a random name.
func decisive(files map[string]string) []string {
	hooks, manifests, err := releaseutil.SortManifests(files, nil, releaseutil.InstallOrder)
	if err != nil { // told by whoever uses the files
		return slices.Sorted(maps.Values(files))
	}
	var used []string
	for _, m := range manifests {
		used = append(used, m.Name, m.Content)
	}
	for _, h := range hooks {
		for _, e := range h.Events {
			switch e {
			case release.HookPreInstall, release.HookPreUpgrade, release.HookPostInstall, release.HookPostUpgrade:
				used = append(used, h.Path, h.Manifest)
			}
		}
	}
	slices.Sort(used) // charts may render two objects of one kind and name
	return used
}

// runEngine renders the templates of a chart, notes left out. The functions that nobody decides follow s, or are
// those of Helm when s is nil. The chart is loaded anew each time, because a run changes it.
func (j *job) runEngine(in inflation, s *stance, warn bool) (map[string]string, *chart.Chart, error) {
	files := make([]*archive.BufferedFile, len(in.files))
	for i, f := range in.files {
		files[i] = &archive.BufferedFile{Name: f.Name, ModTime: f.ModTime, Data: f.Data}
	}
	c, err := loader.LoadFiles(files)
	if err != nil {
		return nil, nil, j.chartFault(in, err)
	}
	if err := installable(in, c); err != nil {
		return nil, nil, err
	}
	values, err := in.renderValues(c)
	if err != nil {
		return nil, nil, j.chartFault(in, err)
	}
	l := &lookups{seen: func(site string, a [4]string) {
		if warn {
			j.warn("%s looks up %s in the cluster; a render has no cluster and the answer is empty, as with helm template", in.file(site), strings.TrimSpace(a[1]+" "+strings.Trim(a[2]+"/"+a[3], "/")))
		}
	}}
	l.mark(c)
	e := engine.Engine{CustomTemplateFuncs: template.FuncMap{}}
	maps.Copy(e.CustomTemplateFuncs, ordered())
	maps.Copy(e.CustomTemplateFuncs, l.functions())
	if s != nil {
		maps.Copy(e.CustomTemplateFuncs, s.functions())
	}
	if s != nil && s.refuse != "" {
		dropNotes(c)
	}
	out, err := e.RenderWithContext(context.Background(), c, values)
	if err != nil {
		return nil, nil, j.templateFault(in, err)
	}
	for name := range out {
		if strings.HasSuffix(name, notes) {
			delete(out, name)
		}
	}
	return out, c, nil
}

// allValues returns the values of the request and, below them, those of the chart.
func (in inflation) allValues() map[string]any {
	all := map[string]any{"given": in.values}
	for _, f := range in.files {
		if path.Base(f.Name) == "values.yaml" {
			if m, err := loader.LoadValues(bytes.NewReader(f.Data)); err == nil {
				all[f.Name] = m
			}
		}
	}
	return all
}

func dropNotes(c *chart.Chart) {
	for _, t := range c.Templates {
		if t != nil && strings.HasSuffix(t.Name, notes) {
			t.Data = nil
		}
	}
	for _, d := range c.Dependencies() {
		dropNotes(d)
	}
}

// installable refuses what `helm template` refuses before it renders.
func installable(in inflation, c *chart.Chart) error {
	if c.Metadata.Type != "" && c.Metadata.Type != "application" {
		return faultf(path.Join(in.dir, "Chart.yaml"), 0, "%s says that this is a %s chart, which cannot be installed by itself", path.Join(in.dir, "Chart.yaml"), c.Metadata.Type)
	}
	have := map[string]bool{}
	for _, d := range c.Dependencies() {
		have[d.Name()] = true
	}
	for _, d := range c.Metadata.Dependencies {
		if d != nil && !have[d.Name] {
			return faultf(path.Join(in.dir, "Chart.yaml"), 0, "%s needs the chart %s in its charts folder: run helm dependency build and commit what it fetches", path.Join(in.dir, "Chart.yaml"), d.Name)
		}
	}
	return nil
}

// renderValues puts together what templates see.
func (in inflation) renderValues(c *chart.Chart) (common.Values, error) {
	caps := common.DefaultCapabilities.Copy()
	if in.kubeVersion != "" {
		v, err := common.ParseKubeVersion(in.kubeVersion)
		if err != nil {
			return nil, faultf(in.dir, 0, "%q is not a Kubernetes version: write it as 1.34.0", in.kubeVersion)
		}
		caps.KubeVersion = *v
	}
	caps.APIVersions = append(caps.APIVersions, in.apiVersions...)
	values := copyMap(in.values)
	if err := chartutil.ProcessDependencies(c, values); err != nil {
		return nil, fmt.Errorf("process dependencies: %w", err)
	}
	if v := c.Metadata.KubeVersion; v != "" && !chartutil.IsCompatibleRange(v, caps.KubeVersion.String()) {
		return nil, faultf(path.Join(in.dir, "Chart.yaml"), 0, "%s wants Kubernetes %s and the cluster has %s", path.Join(in.dir, "Chart.yaml"), v, caps.KubeVersion.Version)
	}
	opts := common.ReleaseOptions{Name: in.release, Namespace: in.namespace, Revision: 1, IsInstall: true}
	return chartvalues.ToRenderValues(c, values, opts, caps)
}

func copyMap(m map[string]any) map[string]any {
	out := make(map[string]any, len(m))
	for k, v := range m {
		out[k] = copyValue(v)
	}
	return out
}

func copyValue(v any) any {
	switch v := v.(type) {
	case map[string]any:
		return copyMap(v)
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = copyValue(v[i])
		}
		return out
	}
	return v
}

// file turns a template of the engine ("name/templates/x.yaml:3") into a file of the tree.
func (in inflation) file(site string) string {
	_, rest, ok := strings.Cut(site, "/")
	if !ok {
		return site
	}
	return path.Join(in.dir, rest)
}

var (
	// "chart/templates/x.yaml:12:3" wherever the engine says it.
	placeInError = regexp.MustCompile(`([\w.@+-]+(?:/[\w.@+-]+)*/templates/[^\s:()]+):(\d+)(?::\d+)?`)
	marked       = regexp.MustCompile(`lookup__\d+`)
	context1     = regexp.MustCompile(`(?s)executing "[^"]*" at <[^>]*>:?`)
)

// templateFault makes one sentence of an error of the template engine: the innermost place, and what is wrong there.
func (j *job) templateFault(in inflation, err error) error {
	msg := marked.ReplaceAllString(err.Error(), "lookup")
	file, line := in.dir, 0
	if m := placeInError.FindAllStringSubmatch(msg, -1); len(m) > 0 {
		last := m[len(m)-1]
		file = in.file(last[1])
		line, _ = strconv.Atoi(last[2])
	}
	var what string
	if i := strings.Index(msg, "): "); strings.HasPrefix(msg, "execution error at (") && i > 0 {
		what = msg[i+3:]
	} else if i := strings.Index(msg, "): "); strings.HasPrefix(msg, "parse error at (") && i > 0 {
		what = msg[i+3:]
	} else {
		lines := strings.Split(strings.TrimSpace(context1.ReplaceAllString(msg, "")), "\n")
		what = strings.TrimSpace(lines[len(lines)-1])
		if i := strings.LastIndex(what, ">: "); i >= 0 {
			what = what[i+3:]
		}
	}
	what = strings.Join(strings.Fields(placeInError.ReplaceAllString(what, "")), " ")
	return faultf(file, line, "%s%s", at(file, line), j.mask(templateWords(msg, what), in.allValues()))
}

// chartFault makes one sentence of an error of the chart loader or of the values.
func (j *job) chartFault(in inflation, err error) error {
	if f, ok := asFault(err); ok {
		return f
	}
	if errors.Is(err, context.Canceled) {
		return err
	}
	what := strings.Join(strings.Fields(j.mask(err.Error(), in.allValues())), " ")
	if f := chartWords(in, what); f != nil {
		return f
	}
	return faultf(in.dir, 0, "the chart in %s cannot be rendered: %s", in.dir, what)
}

var manifestError = regexp.MustCompile(`YAML parse error on ([^:]+): (?s:(.*))`)

// manifestFault makes one sentence of what a template rendered when it is no YAML. The line counts in what was
// rendered, not in the template.
func (in inflation) manifestFault(err error) error {
	m := manifestError.FindStringSubmatch(err.Error())
	if m == nil {
		return faultf(in.dir, 0, "the chart in %s renders something that is no YAML", in.dir)
	}
	what := strings.TrimPrefix(hideQuoted(firstLine(m[2])), "error converting YAML to JSON: yaml: ")
	return faultf(in.file(m[1]), 0, "%s renders something that is no YAML: %s, counted in its output, which helm template --debug shows", in.file(m[1]), what)
}

// noticeUnknownHooks warns when Helm left something out: an object with a hook annotation that names no hook.
func (j *job) noticeUnknownHooks(in inflation, files map[string]string, kept int) {
	all := 0
	for name, content := range files {
		if strings.HasPrefix(path.Base(name), "_") || strings.TrimSpace(content) == "" {
			continue
		}
		all += len(releaseutil.SplitManifests(content))
	}
	if all > kept {
		j.warn("the chart in %s has %d objects with a helm.sh/hook annotation that Helm does not know; they are left out, as with helm template", in.dir, all-kept)
	}
}
