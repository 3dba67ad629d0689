package worker

import (
	"strings"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"

	"github.com/sengu-dev/sengu/internal/render/wire"
)

// f1 is one App of workload F1.
func f1() []wire.Entry {
	name := "app-0001"
	file := func(p, text string) wire.Entry {
		return wire.Entry{Path: p, Data: []byte(strings.ReplaceAll(text, "NAME", name))}
	}
	return []wire.Entry{
		file("kustomization.yaml", "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [sa.yaml, svc.yaml, deploy.yaml, ingress.yaml]\nimages:\n- name: podinfo\n  newName: registry.example.com/podinfo\n  newTag: 6.5.0\n"),
		file("sa.yaml", "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: NAME\n  namespace: bench\n"),
		file("svc.yaml", "apiVersion: v1\nkind: Service\nmetadata:\n  name: NAME\n  namespace: bench\nspec:\n  type: ExternalName\n  externalName: NAME.example.com\n"),
		file("deploy.yaml", `apiVersion: apps/v1
kind: Deployment
metadata:
  name: NAME
  namespace: bench
spec:
  replicas: 0
  selector:
    matchLabels: {app: NAME}
  template:
    metadata:
      labels: {app: NAME}
      annotations: {rev: "1"}
    spec:
      serviceAccountName: NAME
      containers:
      - name: podinfo
        image: podinfo
        ports: [{name: http, containerPort: 9898}]
        livenessProbe: {httpGet: {path: /healthz, port: http}}
        readinessProbe: {httpGet: {path: /readyz, port: http}}
        resources:
          requests: {cpu: 10m, memory: 32Mi}
          limits: {memory: 128Mi}
`),
		file("ingress.yaml", `apiVersion: networking.k8s.io/v1
kind: Ingress
metadata:
  name: NAME
  namespace: bench
spec:
  rules:
  - host: NAME.example.com
    http:
      paths:
      - path: /
        pathType: Prefix
        backend: {service: {name: NAME, port: {number: 80}}}
`),
	}
}

// BenchmarkJob is the work of a worker on an App of F1, without the pipes.
func BenchmarkJob(b *testing.B) {
	entries := f1()
	b.ReportAllocs()
	for b.Loop() {
		j := &job{Params: wire.Params{Path: "apps/a", OutputLimit: 1 << 20, FileLimit: 1 << 20}}
		j.vfs = newVFS(1<<20, nil)
		j.vfs.kustomization = j.kustomizationFile
		j.vfs.preload("apps/a", entries)
		j.vfs.nodes["apps"] = &node{dir: true}
		if err := j.run(); err != nil || len(j.out.Objects) != 4 {
			b.Fatal(err)
		}
	}
}

// BenchmarkKustomize is the library alone on the same App: what no renderer can undercut.
func BenchmarkKustomize(b *testing.B) {
	fs := filesys.MakeFsInMemory()
	for _, e := range f1() {
		if err := fs.WriteFile("/apps/a/"+e.Path, e.Data); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(fs, "/apps/a"); err != nil {
			b.Fatal(err)
		}
	}
}
