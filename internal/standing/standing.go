// Package standing says what each environment of a Fleet runs, as it is written to a ref of the Fleet's repository, so
// that a lost cluster is rebuilt from Git alone.
//
// It is responsible for the words and the files of that record. It is pure: who writes it and when is for others. It
// holds no Secret, no digest that is keyed, and no time but when its Fleet was made: two records of the same standing are the same bytes.
package standing

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// Names of the files of a record. Each service has one of its own below appsFolder, so that a change of one is the change
// of one file.
const (
	appsFolder   = "apps/"
	fleetFile    = "fleet.yaml"
	clustersFile = "clusters.yaml"
	writerFile   = "writer.yaml"
	readmeFile   = "README.md"
)

// AnnotationRestore on a Fleet names the commit of the record that a person has looked at and wants brought back.
const AnnotationRestore = "sengu.dev/restore"

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
	// Writer is the Fleet whose Apps these are.
	Writer Writer
}

// Writer is a Fleet object that writes a record. A Fleet that is restored is another one, and made later.
type Writer struct {
	UID     string      `json:"uid,omitempty"`
	Created metav1.Time `json:"created"`
}

// WriterFor returns a Fleet as a writer.
func WriterFor(fleet *v1alpha1.Fleet) Writer {
	return Writer{UID: string(fleet.UID), Created: fleet.CreationTimestamp}
}

// YieldsTo reports whether w has to leave the record to another Fleet, which was made later under the same name.
func (w Writer) YieldsTo(other Writer) bool {
	if w.Created.Equal(&other.Created) {
		return other.UID > w.UID
	}
	return other.UID != "" && other.UID != w.UID && w.Created.Before(&other.Created)
}

// WriterOf returns who wrote the files of a record, nobody if they do not say so.
func WriterOf(files map[string][]byte) Writer {
	var w Writer
	if err := yaml.UnmarshalStrict(files[writerFile], &w); err != nil {
		return Writer{}
	}
	return w
}

// Of records the Apps of a fleet.
func Of(fleet *v1alpha1.Fleet, apps []v1alpha1.App, clusters []v1alpha1.Cluster) Record {
	r := Record{
		Apps: AppsOf(fleet.Name, apps), Fleet: *fleet.Spec.DeepCopy(), Clusters: map[string]v1alpha1.ClusterSpec{},
		Writer: WriterFor(fleet),
	}
	for i := range clusters {
		if fleet.Spec.DeliversTo(clusters[i].Name) {
			r.Clusters[clusters[i].Name] = *clusters[i].Spec.DeepCopy()
		}
	}
	return r
}

// AppsOf records those Apps that a fleet made, in the order in which they are written.
func AppsOf(fleet string, apps []v1alpha1.App) []App {
	var all []App
	for i := range apps {
		app := &apps[i]
		if app.Spec.Service == "" || app.Spec.Fleet != fleet {
			continue
		}
		is := App{Service: app.Spec.Service, Environment: app.Spec.Environment, Source: app.Spec.Source}
		if app.Spec.LastGood != nil {
			is.LastGood = app.Spec.LastGood.Source.Revision
		}
		all = append(all, is)
	}
	slices.SortFunc(all, inOrder)
	return all
}

func inOrder(a, b App) int {
	return cmp.Or(cmp.Compare(a.Service, b.Service), cmp.Compare(a.Environment, b.Environment))
}

// Revisions lists the commits that Apps name, sorted and each once.
func Revisions(apps []App) []string {
	var all []string
	for _, app := range apps {
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
	files, err := FilesOf(nil, r.Apps)
	if err != nil {
		return nil, err
	}
	files[readmeFile] = []byte(readme)
	for name, content := range map[string]any{fleetFile: r.Fleet, clustersFile: r.Clusters, writerFile: r.Writer} {
		if files[name], err = encoded(name, content); err != nil {
			return nil, err
		}
	}
	return files, nil
}

// FilesOf returns the files of the services of these Apps, and nil for those of services that have no App left.
func FilesOf(services []string, apps []App) (map[string][]byte, error) {
	files := map[string][]byte{}
	for _, service := range services {
		files[fileOf(service)] = nil
	}
	by := map[string][]App{}
	for _, app := range apps {
		by[app.Service] = append(by[app.Service], app)
	}
	for service, its := range by {
		name := fileOf(service)
		data, err := encoded(name, its)
		if err != nil {
			return nil, err
		}
		files[name] = data
	}
	return files, nil
}

func fileOf(service string) string { return appsFolder + service + ".yaml" }

func encoded(name string, content any) ([]byte, error) {
	data, err := yaml.Marshal(content)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", name, err)
	}
	return data, nil
}

// Read reads what Files has written. Files of another version are refused.
func Read(files map[string][]byte) (Record, error) {
	var r Record
	into := map[string]any{fleetFile: &r.Fleet, clustersFile: &r.Clusters, writerFile: &r.Writer}
	missing := slices.DeleteFunc(slices.Sorted(maps.Keys(into)), func(name string) bool {
		_, there := files[name]
		return there || name == writerFile // which older ones lack
	})
	if len(missing) > 0 {
		return Record{}, errors.New("the record lacks " + strings.Join(missing, ", "))
	}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		var err error
		switch {
		case strings.HasPrefix(name, appsFolder):
			var its []App
			err = yaml.UnmarshalStrict(files[name], &its)
			r.Apps = append(r.Apps, its...)
		case into[name] != nil:
			err = yaml.UnmarshalStrict(files[name], into[name])
		case name != readmeFile:
			err = errors.New("no record has such a file: it was written by another version of Sengu, or by somebody else")
		}
		if err != nil {
			return Record{}, fmt.Errorf("read %s: %w", name, err)
		}
	}
	slices.SortFunc(r.Apps, inOrder) // the names of files sort otherwise: web-2.yaml comes before web.yaml
	return r, nil
}
