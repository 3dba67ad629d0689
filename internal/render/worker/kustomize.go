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
	if j.vfs.fault != nil { // kustomize may pass over a file that it cannot read
		return j.vfs.fault
	}
	if m.Size() == 0 {
		return faultf(dir, 0, "%s builds no object, and an empty render is never taken for a wish to delete", dir)
	}
	from := j.origins()
	for _, res := range m.Resources() {
		origin, file, line := "", dir, 0
		if s, ok := from.find(res.GetKind(), res.GetName()); ok {
			origin, file, line = at(s.file, s.line), s.file, s.start-1
		}
		js, _, err := encodeDoc(file, res.YNode(), asKustomize, false)
		if err != nil {
			if f, ok := asFault(err); ok && line > 0 && f.Line > 0 { // kustomize counts lines from the document
				return faultf(f.File, f.Line+line, "%s has a key twice, or is nested too deep, in %s %s", at(f.File, f.Line+line), res.GetKind(), res.GetName())
			}
			return err
		}
		if err := j.add(origin, js); err != nil {
			return err
		}
	}
	return nil
}
