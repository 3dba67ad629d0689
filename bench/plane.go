package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"sigs.k8s.io/yaml"

	"github.com/sengu-dev/sengu/api/crds"
)

const (
	planeTimeout  = 3 * time.Minute
	pollInterval  = 50 * time.Millisecond
	senguHome     = "sengu"
	crdCollection = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
)

// plane is a fresh control plane with Sengu's kinds and the two namespaces, and nothing else. The floor gets one, and
// Sengu gets another that is the same.
type plane struct {
	*client
	process    *child
	kubeconfig string
}

// startPlane starts a control plane in dir and waits until it has nothing left to do.
func startPlane(ctx context.Context, binary, dir string) (*plane, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	process, err := launch("localplane", filepath.Join(dir, "output"), binary, "--dir", dir, "--nodes", "0", "--stop-on-stdin-eof")
	if err != nil {
		return nil, err
	}
	p := &plane{process: process, kubeconfig: filepath.Join(dir, "kubeconfig")}
	if err := p.prepare(ctx); err != nil {
		return nil, errors.Join(err, p.stop())
	}
	return p, nil
}

func (p *plane) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, planeTimeout)
	defer cancel()
	// The file is there while the API can be used.
	err := p.process.until(ctx, pollInterval, func(context.Context) error {
		_, err := os.Stat(p.kubeconfig)
		return err
	})
	if err != nil {
		return err
	}
	if p.client, err = newClient(p.kubeconfig); err != nil {
		return err
	}
	if err := p.installKinds(ctx); err != nil {
		return err
	}
	for _, name := range []string{senguHome, targetNamespace} {
		namespace := fields{"apiVersion": "v1", "kind": "Namespace", "metadata": fields{"name": name}}
		if err := p.create(ctx, "/api/v1/namespaces", namespace); err != nil {
			return err
		}
	}
	return p.settle(ctx)
}

// installKinds creates Sengu's CRDs and waits until they are served.
func (p *plane) installKinds(ctx context.Context) error {
	files, err := crds.Files.ReadDir(".")
	if err != nil {
		return err
	}
	for _, file := range files {
		data, err := crds.Files.ReadFile(file.Name())
		if err != nil {
			return err
		}
		var crd fields
		if err := yaml.Unmarshal(data, &crd); err != nil {
			return fmt.Errorf("read %s: %w", file.Name(), err)
		}
		if err := p.create(ctx, crdCollection, crd); err != nil {
			return err
		}
	}
	return p.process.until(ctx, pollInterval, func(ctx context.Context) error {
		all, err := p.list(ctx, crdCollection)
		for i := range all {
			if status, message := all[i].condition("Established"); status != "True" {
				return fmt.Errorf("CRD %s is not served yet: %s", all[i].Metadata.Name, message)
			}
		}
		return err
	})
}

// settle waits until the controllers have caught up.
func (p *plane) settle(ctx context.Context) error {
	return settle(ctx, "the control plane", p.process.pid())
}

func (p *plane) stop() error {
	if p.client != nil {
		p.close()
	}
	return p.process.stop()
}

// identity tells one state of an object from another.
type identity struct{ uid, resourceVersion string }

// identities lists the objects of the workload, as kind/name.
func (p *plane) identities(ctx context.Context, all []service) (map[string]identity, error) {
	wanted := map[string]bool{}
	for _, s := range all {
		wanted[s.name] = true
	}
	found := map[string]identity{}
	for _, k := range kinds {
		objects, err := p.list(ctx, k.collection())
		if err != nil {
			return nil, err
		}
		for i := range objects {
			if m := &objects[i].Metadata; wanted[m.Name] {
				found[k.name+"/"+m.Name] = identity{m.UID, m.ResourceVersion}
			}
		}
	}
	return found, nil
}

// check fails unless all objects of the workload exist and are as Git says, in what commits change.
func (p *plane) check(ctx context.Context, all []service) error {
	for _, k := range kinds {
		objects, err := p.list(ctx, k.collection())
		if err != nil {
			return err
		}
		byName := make(map[string]*object, len(objects))
		for i := range objects {
			byName[objects[i].Metadata.Name] = &objects[i]
		}
		for _, s := range all {
			o := byName[s.name]
			if o == nil {
				return fmt.Errorf("wrong: %s %s does not exist", k.name, s.name)
			}
			if !s.matches(k, o) {
				return fmt.Errorf("wrong: %s %s is not as Git says", k.name, s.name)
			}
		}
	}
	return nil
}
