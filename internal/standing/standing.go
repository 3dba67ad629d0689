// Package standing says what each environment of a Fleet runs, as it is written to a ref of the Fleet's repository, so
// that a lost cluster is rebuilt from Git alone.
//
// It is responsible for the words and the files of that record. It is pure: who writes it and when is for others. It
// holds no Secret, no digest that is keyed, and no time: two records of the same standing are the same bytes.
package standing

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/yaml"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// Names of the files of a record.
const (
	appsFile     = "apps.yaml"
	fleetFile    = "fleet.yaml"
	clustersFile = "clusters.yaml"
	readmeFile   = "README.md"
)

const readme = `This commit was written by Sengu: it says which revision each environment of the fleet runs, and its
ancestors include those revisions, so that no rewritten branch loses them. Sengu rebuilds an empty
cluster from it: see ` + "`sengu restore --help`" + `.
`

// Ref returns the ref that holds the record of a fleet.
func Ref(fleet string) string { return "refs/sengu/state/" + fleet }

// App is what one service runs in one environment.
type App struct {
	Service     string             `json:"service"`
	Environment string             `json:"environment"`
	Source      v1alpha1.AppSource `json:"source"`
	// LastGood is the revision that ran before and was good, "" if none did.
	LastGood string `json:"lastGood,omitempty"`
}

// Record is what a fleet runs, with the objects that it takes to run it again.
type Record struct {
	Apps     []App
	Fleet    v1alpha1.FleetSpec
	Clusters map[string]v1alpha1.ClusterSpec
}

// Of records the Apps of a fleet.
func Of(fleet *v1alpha1.Fleet, apps []v1alpha1.App, clusters []v1alpha1.Cluster) Record {
	r := Record{Fleet: *fleet.Spec.DeepCopy(), Clusters: map[string]v1alpha1.ClusterSpec{}}
	for i := range apps {
		app := &apps[i]
		if app.Spec.Service == "" || app.Spec.Fleet != fleet.Name {
			continue
		}
		is := App{Service: app.Spec.Service, Environment: app.Spec.Environment, Source: app.Spec.Source}
		if app.Spec.LastGood != nil {
			is.LastGood = app.Spec.LastGood.Source.Revision
		}
		r.Apps = append(r.Apps, is)
	}
	slices.SortFunc(r.Apps, func(a, b App) int {
		return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Environment, b.Environment))
	})
	for i := range clusters {
		used := slices.ContainsFunc(fleet.Spec.Environments, func(e v1alpha1.Environment) bool { return e.Cluster == clusters[i].Name })
		if used {
			r.Clusters[clusters[i].Name] = *clusters[i].Spec.DeepCopy()
		}
	}
	return r
}

// Revisions lists the commits that the record names, sorted and each once.
func (r Record) Revisions() []string {
	var all []string
	for _, app := range r.Apps {
		all = append(all, app.Source.Revision)
		if app.LastGood != "" {
			all = append(all, app.LastGood)
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// Files returns the record as it is written.
func (r Record) Files() (map[string][]byte, error) {
	files := map[string][]byte{readmeFile: []byte(readme)}
	for name, content := range map[string]any{appsFile: r.Apps, fleetFile: r.Fleet, clustersFile: r.Clusters} {
		data, err := yaml.Marshal(content)
		if err != nil {
			return nil, fmt.Errorf("write %s: %w", name, err)
		}
		files[name] = data
	}
	return files, nil
}

// Read reads what Files has written. Files of another version are refused.
func Read(files map[string][]byte) (Record, error) {
	var r Record
	var missing []string
	for name, into := range map[string]any{appsFile: &r.Apps, fleetFile: &r.Fleet, clustersFile: &r.Clusters} {
		data, ok := files[name]
		if !ok {
			missing = append(missing, name)
			continue
		}
		if err := yaml.UnmarshalStrict(data, into); err != nil {
			return Record{}, fmt.Errorf("read %s: %w", name, err)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return Record{}, errors.New("the record lacks " + strings.Join(missing, ", "))
	}
	return r, nil
}
