package worker

import (
	"sigs.k8s.io/kustomize/api/konfig"
	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/api/types"
)

// kustomizationIn returns the name of the kustomization file in dir, or "".
func (j *job) kustomizationIn(dir string) (string, error) {
	for _, name := range konfig.RecognizedKustomizationFileNames() {
		n, err := j.vfs.lookup(join(dir, name))
		if err != nil {
			return "", err
		}
		if n != nil && !n.dir {
			return name, nil
		}
	}
	return "", nil
}

// kustomize renders the kustomization in dir as `kustomize build --enable-helm` does.
func (j *job) kustomize(dir string) error {
	opts := krusty.MakeDefaultOptions()
	opts.PluginConfig = types.DisabledPluginConfig()
	m, err := krusty.MakeKustomizer(opts).Run(kustFS{j.vfs}, "/"+dir)
	if err != nil {
		return j.kustomizeFault(dir, err)
	}
	for _, res := range m.Resources() {
		origin := ""
		js, _, err := encodeDoc(origin, res.YNode(), asKustomize, false)
		if err != nil {
			return err
		}
		if err := j.add(origin, js); err != nil {
			return err
		}
	}
	return nil
}

// kustomizeFault makes one sentence of an error of kustomize.
func (j *job) kustomizeFault(dir string, err error) error {
	if j.vfs.fault != nil {
		return j.vfs.fault
	}
	if f, ok := asFault(err); ok {
		return f
	}
	return faultf(dir, 0, "%s cannot be built by kustomize: %s", dir, err)
}
