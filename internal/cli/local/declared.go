package local

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	yamlutil "k8s.io/apimachinery/pkg/util/yaml"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

const (
	// objectsFolder is the folder of a repository that holds its Clusters and Fleets.
	objectsFolder = "sengu"
	// placeholderHost is the host in the URL of a Fleet that stands for the Git server of the local plane.
	placeholderHost = "git.sengu.local"
)

// declared is what the folder of a repository declares, as it is written there: what it leaves out is for the API server
// to say.
type declared struct {
	clusters, fleets []*unstructured.Unstructured
}

// readDeclared reads the Clusters and Fleets in the folder of a repository.
func readDeclared(repository string) (declared, error) {
	var d declared
	files, err := filepath.Glob(filepath.Join(repository, objectsFolder, "*.yaml"))
	if err != nil {
		return d, fmt.Errorf("list %s: %w", objectsFolder, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file) //nolint:gosec // a folder that the person named
		if err != nil {
			return d, fmt.Errorf("read the fleet: %w", err)
		}
		if err := d.add(data); err != nil {
			return d, fmt.Errorf("read %s: %w", file, err)
		}
	}
	if len(d.clusters) == 0 || len(d.fleets) == 0 {
		return d, fmt.Errorf("%s declares %d Clusters and %d Fleets: it takes one of each at least",
			filepath.Join(repository, objectsFolder), len(d.clusters), len(d.fleets))
	}
	return d, nil
}

func (d *declared) add(data []byte) error {
	decoder := yamlutil.NewYAMLOrJSONDecoder(bytes.NewReader(data), 4096)
	for {
		u := &unstructured.Unstructured{}
		err := decoder.Decode(&u.Object)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		switch {
		case len(u.Object) == 0:
			continue
		case u.GetAPIVersion() == v1alpha1.GroupVersion.String() && u.GetKind() == "Cluster" && u.GetName() != "":
			d.clusters = append(d.clusters, u)
		case u.GetAPIVersion() == v1alpha1.GroupVersion.String() && u.GetKind() == "Fleet" && u.GetName() != "":
			d.fleets = append(d.fleets, u)
		default:
			return fmt.Errorf("%q %s does not belong here, only Clusters and Fleets of %s", u.GetKind(), u.GetName(), v1alpha1.GroupVersion)
		}
	}
}

// fleetNames are the names of the fleets.
func (d *declared) fleetNames() []string {
	names := make([]string, 0, len(d.fleets))
	for _, f := range d.fleets {
		names = append(names, f.GetName())
	}
	return names
}

// clusterNames are the names of the clusters.
func (d *declared) clusterNames() []string {
	names := make([]string, 0, len(d.clusters))
	for _, k := range d.clusters {
		names = append(names, k.GetName())
	}
	return names
}

// keep drops the clusters beyond the first n, and the environments that are on them.
func (d *declared) keep(n int) error {
	if n < 1 || n > len(d.clusters) {
		return fmt.Errorf("--planes is %d: the fleet is for %d clusters, so it must be from 1 to %d", n, len(d.clusters), len(d.clusters))
	}
	d.clusters = d.clusters[:n]
	for _, f := range d.fleets {
		left, err := d.environments(f)
		if err != nil {
			return fmt.Errorf("fleet %s: %w", f.GetName(), err)
		}
		if len(left) == 0 {
			return fmt.Errorf("--planes is %d: fleet %s has no environment on the first %d clusters", n, f.GetName(), n)
		}
		if err := unstructured.SetNestedSlice(f.Object, left, "spec", "environments"); err != nil {
			return fmt.Errorf("fleet %s: %w", f.GetName(), err)
		}
	}
	return nil
}

// environments are those of f that are on a cluster that is kept.
func (d *declared) environments(f *unstructured.Unstructured) ([]any, error) {
	all, _, err := unstructured.NestedSlice(f.Object, "spec", "environments")
	if err != nil {
		return nil, err
	}
	gone := map[any]bool{}
	left := slices.DeleteFunc(all, func(e any) bool {
		env, _ := e.(map[string]any)
		drop := !slices.ContainsFunc(d.clusters, func(k *unstructured.Unstructured) bool { return k.GetName() == env["cluster"] })
		if drop {
			gone[env["name"]] = true
		}
		return drop
	})
	for _, e := range left {
		env, _ := e.(map[string]any)
		if after, ok := env["after"].([]any); ok {
			env["after"] = slices.DeleteFunc(after, func(name any) bool { return gone[name] })
		}
	}
	return left, nil
}

// point makes the fleets that name the placeholder read the repository at cloneURL, and hear of pushes.
func (d *declared) point(cloneURL string) error {
	for _, f := range d.fleets {
		raw, _, err := unstructured.NestedString(f.Object, "spec", "git", "url")
		if err != nil {
			return fmt.Errorf("fleet %s: %w", f.GetName(), err)
		}
		if u, err := url.Parse(raw); err != nil || u.Host != placeholderHost {
			continue
		}
		err = errors.Join(
			unstructured.SetNestedField(f.Object, cloneURL, "spec", "git", "url"),
			unstructured.SetNestedField(f.Object, webhookSecret, "spec", "git", "webhookSecretRef", "name"))
		if err != nil {
			return fmt.Errorf("fleet %s: %w", f.GetName(), err)
		}
	}
	return nil
}

// kubeconfigSecret is the name of the Secret with the kubeconfig of a cluster, which it is made to name.
func kubeconfigSecret(k *unstructured.Unstructured) (string, error) {
	field := []string{"spec", "kubeconfigSecretRef", "name"}
	name, found, err := unstructured.NestedString(k.Object, field...)
	if err != nil || found {
		return name, err
	}
	name = k.GetName() + "-kubeconfig"
	return name, unstructured.SetNestedField(k.Object, name, field...)
}

// repositoryName is the name under which a folder is served.
func repositoryName(folder string) string {
	return strings.TrimSuffix(filepath.Base(folder), ".git") + ".git"
}
