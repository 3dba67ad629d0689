package worker

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
	"text/template"
	_ "unsafe" // for go:linkname

	"helm.sh/helm/v4/pkg/chart/loader/archive"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	release "helm.sh/helm/v4/pkg/release/v1"
	"sigs.k8s.io/kustomize/api/builtins" //nolint:staticcheck // the only public name of the generator's type
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/resmap"
	"sigs.k8s.io/kustomize/api/types"
	"sigs.k8s.io/kustomize/kyaml/kio"
	kyaml "sigs.k8s.io/kustomize/kyaml/yaml"
	"sigs.k8s.io/kustomize/kyaml/yaml/merge2"
	sigsyaml "sigs.k8s.io/yaml"

	"github.com/sengu-dev/sengu/internal/render/wire"
)

// generatorFactories is kustomize's own table of generators. kustomize runs the program `helm` for helmCharts, which a
// sandbox cannot and should not; and it has no public way to exchange that one generator. Exchanging the entry keeps
// everything else of kustomize (order, inherited namespaces, transformers) as it is, where rewriting kustomization
// files would only come near. If a new release of kustomize moves the table, the program does not link.
//
//go:linkname generatorFactories sigs.k8s.io/kustomize/api/internal/plugins/builtinhelpers.GeneratorFactories
var generatorFactories map[int]func() resmap.GeneratorPlugin

// running is the job that this process does; it does one at a time, and kustomize calls the table without a context.
var running *job

// installHelmGenerator exchanges kustomize's generator for helmCharts with ours.
func installHelmGenerator() error {
	for kind, make := range generatorFactories {
		if _, ok := make().(*builtins.HelmChartInflationGeneratorPlugin); ok {
			generatorFactories[kind] = func() resmap.GeneratorPlugin { return &helmGenerator{job: running} }
			return nil
		}
	}
	return errors.New("kustomize has no generator for helmCharts")
}

// helmGenerator inflates one entry of helmCharts. Its exported fields are the configuration that kustomize hands over.
type helmGenerator struct {
	job  *job
	h    *resmap.PluginHelpers
	root string
	types.HelmGlobals
	types.HelmChart
}

// Config takes the entry and refuses what `kustomize build` refuses.
func (g *helmGenerator) Config(h *resmap.PluginHelpers, config []byte) error {
	g.h, g.root = h, rel(h.Loader().Root())
	if err := sigsyaml.Unmarshal(config, g); err != nil {
		return g.fail("cannot be read")
	}
	switch {
	case g.Name == "":
		return g.fail("has no name")
	case strings.HasPrefix(g.Name, "-"):
		return g.fail("has the name %q, which begins with a dash", g.Name)
	case strings.HasPrefix(g.ReleaseName, "-"):
		return g.fail("has the releaseName %q, which begins with a dash", g.ReleaseName)
	case g.ReleaseName != "" && g.NameTemplate != "":
		return g.fail("has a releaseName and a nameTemplate: keep one of them")
	}
	switch g.ValuesMerge {
	case "", "merge", "override", "replace":
	default:
		return g.fail("has the valuesMerge %q: it must be merge, override or replace", g.ValuesMerge)
	}
	if g.ChartHome == "" {
		g.ChartHome = types.HelmDefaultHome
	}
	return nil
}

func (g *helmGenerator) fail(format string, args ...any) error {
	file, line := g.place()
	return faultf(file, line, "%s: helmCharts entry %q %s", at(file, line), g.Name, fmt.Sprintf(format, args...))
}

// place is where the entry stands.
func (g *helmGenerator) place() (file string, line int) {
	for _, k := range g.job.kustomizations {
		if path.Dir(k.file) != path.Join(".", g.root) {
			continue
		}
		charts := fieldOf(k.root, "helmCharts")
		if charts == nil {
			return k.file, 0
		}
		for _, item := range charts.Content {
			if name := fieldOf(item, "name"); name != nil && name.Value == g.Name || name == nil && g.Name == "" {
				return k.file, item.Line
			}
		}
		return k.file, charts.Line
	}
	return g.root, 0
}

// home is the folder, absolute as kustomize names it, that holds or would hold the chart.
func (g *helmGenerator) home() string {
	home := g.ChartHome
	if !path.IsAbs(home) {
		home = path.Join("/", g.root, home)
	}
	if g.Version != "" && g.Repo != "" {
		return path.Join(home, g.Name+"-"+g.Version)
	}
	return home
}

// Generate renders the chart.
func (g *helmGenerator) Generate() (resmap.ResMap, error) {
	in, err := g.inflation()
	if err != nil {
		return nil, err
	}
	out, err := g.job.inflate(in)
	if err != nil {
		return nil, err
	}
	rm, err := g.resources(g.text(out))
	if err != nil {
		return nil, faultf(in.dir, 0, "the chart in %s renders something that is no list of objects", in.dir)
	}
	for _, r := range rm.Resources() {
		if err := r.PipeE(kyaml.SetAnnotation(konfig.HelmGeneratedAnnotation, "true")); err != nil {
			return nil, fmt.Errorf("mark a generated object: %w", err)
		}
	}
	return rm, nil
}

// inflation puts together what `helm template` would be called with.
func (g *helmGenerator) inflation() (inflation, error) {
	in := inflation{
		dir: rel(path.Join(g.home(), g.Name)), release: g.ReleaseName, namespace: g.Namespace,
		kubeVersion: g.KubeVersion, apiVersions: append(g.ApiVersions, g.job.APIVersions...),
	}
	if in.kubeVersion == "" {
		in.kubeVersion = g.job.KubeVersion
	}
	if in.namespace == "" {
		in.namespace = "default"
	}
	var err error
	switch {
	case g.NameTemplate != "":
		if in.release, err = g.releaseName(); err != nil {
			return in, err
		}
	case in.release == "":
		in.release = "release-name" // what `helm template` falls back to
	}
	if in.files, err = g.files(in.dir); err != nil {
		return in, err
	}
	in.values, err = g.values(in)
	return in, err
}

// releaseName renders the nameTemplate.
func (g *helmGenerator) releaseName() (string, error) {
	s := newStance()
	t, err := template.New("nameTemplate").Funcs(sprigFunctions()).Funcs(s.functions()).Parse(g.NameTemplate)
	var b bytes.Buffer
	if err == nil {
		err = t.Execute(&b, nil)
	}
	if err != nil {
		return "", g.fail("has a nameTemplate that cannot be rendered")
	}
	if used := s.undecided(); len(used) > 0 && !g.job.AllowNondeterministic {
		return "", g.fail("has a nameTemplate that uses %s, which gives another value at every render: use releaseName", used[0])
	}
	return b.String(), nil
}

// files returns the chart, from the repository when it is there, or from where repo says.
func (g *helmGenerator) files(dir string) ([]*archive.BufferedFile, error) {
	n, err := g.job.vfs.lookup(dir)
	if err != nil {
		return nil, err
	}
	if n != nil && n.dir {
		return g.job.chartFiles(dir)
	}
	if g.Repo == "" {
		return nil, g.fail("has no repo, and there is no chart in %s", dir)
	}
	c := wire.Chart{Repository: g.Repo, Name: g.Name, Version: g.Version, Devel: g.Devel}
	files, err := g.job.fetchChart(c)
	if f, ok := asFault(err); ok {
		return nil, g.fail("cannot be fetched: %s", f.Sentence)
	}
	return files, err
}

// values merges the values as kustomize does: the values file (the chart's own when none is named) and valuesInline
// first, then additionalValuesFiles.
func (g *helmGenerator) values(in inflation) (map[string]any, error) {
	file, data, err := g.valuesFile(in)
	if err != nil {
		return nil, err
	}
	if len(g.ValuesInline) > 0 {
		if data, err = g.withInline(file, data); err != nil {
			return nil, err
		}
	}
	merged, err := loadValues(file, data)
	if err != nil {
		return nil, err
	}
	for _, f := range g.AdditionalValuesFiles {
		data, err := g.h.Loader().Load(f)
		if err != nil {
			return nil, g.valuesFault(f, err)
		}
		name := rel(path.Join("/", g.root, f))
		more, err := loadValues(name, data)
		if err != nil {
			return nil, err
		}
		merged = loader.MergeMaps(merged, more)
	}
	return merged, nil
}

func (g *helmGenerator) valuesFile(in inflation) (string, []byte, error) {
	if g.ValuesFile != "" {
		data, err := g.h.Loader().Load(g.ValuesFile)
		if err != nil {
			return "", nil, g.valuesFault(g.ValuesFile, err)
		}
		return rel(path.Join("/", g.root, g.ValuesFile)), data, nil
	}
	if n, err := g.job.vfs.lookup(in.dir); err == nil && n != nil {
		file := join(in.dir, "values.yaml")
		if values, err := g.job.vfs.lookup(file); err == nil && values == nil {
			return "", nil, g.fail("names no valuesFile, and its chart has no values.yaml: add one of them")
		}
		data, err := g.h.Loader().Load("/" + file) // kustomize wants it in or below the kustomization, too
		if err != nil {
			return "", nil, g.valuesFault(file, err)
		}
		return file, data, nil
	}
	for _, f := range in.files {
		if f.Name == "values.yaml" {
			return join(in.dir, "values.yaml"), f.Data, nil
		}
	}
	return "", nil, g.fail("names no valuesFile, and its chart has no values.yaml: add one of them")
}

func (g *helmGenerator) valuesFault(file string, err error) error {
	if f, ok := asFault(err); ok {
		return f
	}
	if leaves(g.root, file) {
		return g.fail("names the values file %s, which leads out of the repository", file)
	}
	if errors.Is(err, fs.ErrNotExist) {
		return g.fail("names the values file %s, which does not exist", file)
	}
	return g.fail("names the values file %s, which is not in or below %s", file, g.root)
}

// withInline merges valuesInline into the values file, in the way that valuesMerge says.
func (g *helmGenerator) withInline(file string, data []byte) ([]byte, error) {
	if g.ValuesMerge == "replace" {
		return sigsyaml.Marshal(g.ValuesInline)
	}
	base, err := kyaml.Parse(string(data))
	if err != nil {
		return nil, yamlFault(file, err)
	}
	inline, err := kyaml.FromMap(g.ValuesInline)
	if err != nil {
		return nil, g.fail("has a valuesInline that cannot be read")
	}
	var out *kyaml.RNode
	if g.ValuesMerge == "merge" {
		out, err = merge2.Merge(base, inline, kyaml.MergeOptions{})
	} else {
		out, err = merge2.Merge(inline, base, kyaml.MergeOptions{})
	}
	if err != nil {
		return nil, g.fail("has a valuesInline that does not fit its values file")
	}
	m, err := out.Map()
	if err != nil {
		return nil, g.fail("has a valuesInline that does not fit its values file")
	}
	return sigsyaml.Marshal(m)
}

// text writes what `helm template` would print.
func (g *helmGenerator) text(out *inflated) []byte {
	var b bytes.Buffer
	if g.IncludeCRDs {
		for _, crd := range out.chart.CRDObjects() {
			fmt.Fprintf(&b, "---\n# Source: %s\n%s\n", crd.Filename, crd.File.Data)
		}
	}
	for _, m := range out.manifests {
		fmt.Fprintf(&b, "---\n# Source: %s\n%s\n", m.Name, m.Content)
	}
	if g.SkipHooks {
		return b.Bytes()
	}
	for _, h := range out.hooks {
		if !g.SkipTests || !isTest(h) {
			fmt.Fprintf(&b, "---\n# Source: %s\n%s\n", h.Path, h.Manifest)
		}
	}
	return b.Bytes()
}

func isTest(h *release.Hook) bool {
	for _, e := range h.Events {
		if e == release.HookTest {
			return true
		}
	}
	return false
}

// resources parses the text as kustomize does.
func (g *helmGenerator) resources(text []byte) (resmap.ResMap, error) {
	rm, err := g.h.ResmapFactory().NewResMapFromBytes(text)
	if err == nil {
		return rm, nil
	}
	nodes, readErr := (&kio.ByteReader{Reader: bytes.NewReader(text), OmitReaderAnnotations: true}).Read()
	if readErr != nil || len(nodes) == 0 {
		return nil, err
	}
	return g.h.ResmapFactory().NewResMapFromRNodeSlice(nodes)
}
