package render

import (
	"context"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
)

// f1App is one App of workload F1.
func f1App(name string) map[string]string {
	dir := "apps/" + name + "/"
	return map[string]string{
		dir + "kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\nresources: [sa.yaml, svc.yaml, deploy.yaml, ingress.yaml]\nimages:\n- name: podinfo\n  newName: registry.example.com/podinfo\n  newTag: 6.5.0\n",
		dir + "sa.yaml":            "apiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: " + name + "\n  namespace: bench\n",
		dir + "svc.yaml":           "apiVersion: v1\nkind: Service\nmetadata:\n  name: " + name + "\n  namespace: bench\nspec:\n  type: ExternalName\n  externalName: " + name + ".example.com\n",
		dir + "deploy.yaml": strings.ReplaceAll(`apiVersion: apps/v1
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
`, "NAME", name),
		dir + "ingress.yaml": strings.ReplaceAll(`apiVersion: networking.k8s.io/v1
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
`, "NAME", name),
	}
}

// BenchmarkF1 renders different Apps of workload F1, one after the other on one worker, and reports the CPU of parent
// and worker together.
func BenchmarkF1(b *testing.B) {
	const apps = 200
	files := map[string]string{}
	for i := range apps {
		for name, content := range f1App(fmt.Sprintf("app-%04d", i)) {
			files[name] = content
		}
	}
	src := writeTree(b, files)
	r := newRenderer(b, func(o *Options) { o.Workers = 1 })
	one := func(i int) {
		res, err := r.Render(context.Background(), Request{Source: src, Path: fmt.Sprintf("apps/app-%04d", i%apps)})
		if err != nil {
			b.Fatal(err)
		}
		if len(res.Objects) != 4 {
			b.Fatalf("got %d objects, want 4", len(res.Objects))
		}
	}
	one(0)
	w := r.pool.idle[0]
	parent, child := cpu(b, "self"), cpu(b, fmt.Sprint(w.cmd.Process.Pid))
	b.ResetTimer()
	for i := range b.N {
		one(i)
	}
	b.StopTimer()
	b.ReportMetric((cpu(b, "self")-parent)*1e3/float64(b.N), "parent-cpu-ms/op")
	b.ReportMetric((cpu(b, fmt.Sprint(w.cmd.Process.Pid))-child)*1e3/float64(b.N), "worker-cpu-ms/op")
	b.ReportMetric(float64(pss(b, w.cmd.Process.Pid))/(1<<20), "worker-pss-MiB")
	b.ReportMetric(float64(w.memory())/(1<<20), "worker-rss-MiB")
}

// cpu returns the seconds of CPU that a process has used.
func cpu(b *testing.B, pid string) float64 {
	if pid == "self" {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			b.Fatal(err)
		}
		return float64(u.Utime.Nano()+u.Stime.Nano()) / 1e9
	}
	data, err := os.ReadFile("/proc/" + pid + "/stat")
	if err != nil {
		b.Fatal(err)
	}
	f := strings.Fields(string(data[strings.LastIndexByte(string(data), ')'):]))
	var user, system float64
	if _, err := fmt.Sscan(f[12], &user); err != nil {
		b.Fatal(err)
	}
	if _, err := fmt.Sscan(f[13], &system); err != nil {
		b.Fatal(err)
	}
	return (user + system) / 100
}

// pss returns the proportional set size of a process in bytes.
func pss(b *testing.B, pid int) int64 {
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		b.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "Pss: %d kB", &kib); err == nil {
			return kib << 10
		}
	}
	return 0
}
