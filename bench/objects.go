package main

import (
	"encoding/json"
	"fmt"
	"path"
	"strings"
)

// targetNamespace is where the objects of the workload go.
const targetNamespace = "bench"

// markAnnotation is what F3 changes in every object.
const markAnnotation = "bench.sengu.dev/mark"

// service is one App of the workload: a kustomization of four objects. Rev and mark are what commits change.
type service struct {
	name string
	// environment that it is in, in workloads that have several: one service in each.
	environment string
	// rev is the annotation of the Deployment's Pod template: 1 at first. F2 raises it.
	rev int
	// mark is an annotation of all four objects: none while it is 0. F3 raises it.
	mark int
}

// kind is one of the four kinds of object that an App has.
type kind struct {
	name string
	// api is the path of the API group and version.
	api string
	// plural is the name in URLs.
	plural string
}

var (
	serviceAccounts = kind{"ServiceAccount", "/api/v1", "serviceaccounts"}
	services        = kind{"Service", "/api/v1", "services"}
	deployments     = kind{"Deployment", "/apis/apps/v1", "deployments"}
	ingresses       = kind{"Ingress", "/apis/networking.k8s.io/v1", "ingresses"}
)

// kinds in the order in which the floor applies them.
var kinds = []kind{serviceAccounts, services, deployments, ingresses}

// collection is the path of all objects of k in the namespace of the workload.
func (k kind) collection() string { return path.Join(k.api, "namespaces", targetNamespace, k.plural) }

// apiVersion is how objects of k spell it.
func (k kind) apiVersion() string {
	return strings.TrimPrefix(strings.TrimPrefix(k.api, "/apis/"), "/api/")
}

// makeServices returns n Apps as the first commit has them.
func makeServices(n int) []service {
	all := make([]service, n)
	for i := range all {
		all[i] = service{name: fmt.Sprintf("app-%04d", i), rev: 1}
	}
	return all
}

func names(of []service) []string {
	all := make([]string, len(of))
	for i, s := range of {
		all[i] = s.name
	}
	return all
}

// id is the name of the objects of s.
func (s service) id() string {
	if s.environment == "" {
		return s.name
	}
	return s.name + "-" + s.environment
}

// folder is where the files of s are in the repository.
func (s service) folder() string {
	if s.environment == "" {
		return "apps/" + s.name
	}
	return "apps/" + s.name + "." + s.environment
}

// metadata is how the files spell it.
func (s service) metadata() string {
	text := fmt.Sprintf("metadata:\n  name: %s\n  namespace: %s\n", s.id(), targetNamespace)
	if s.mark > 0 {
		text += fmt.Sprintf("  annotations: {%s: \"%d\"}\n", markAnnotation, s.mark)
	}
	return text
}

// files returns the files of s by name.
func (s service) files() map[string]string {
	return map[string]string{
		"kustomization.yaml": "apiVersion: kustomize.config.k8s.io/v1beta1\nkind: Kustomization\n" +
			"resources: [sa.yaml, svc.yaml, deploy.yaml, ingress.yaml]\n" +
			"images:\n- name: podinfo\n  newName: ghcr.io/stefanprodan/podinfo\n  newTag: 6.5.0\n",
		"sa.yaml":      "apiVersion: v1\nkind: ServiceAccount\n" + s.metadata(),
		"svc.yaml":     "apiVersion: v1\nkind: Service\n" + s.metadata() + fmt.Sprintf("spec:\n  type: ExternalName\n  externalName: %s.example.com\n", s.id()),
		"deploy.yaml":  "apiVersion: apps/v1\nkind: Deployment\n" + s.metadata() + fmt.Sprintf(deploymentSpec, s.id(), s.id(), s.rev, s.id()),
		"ingress.yaml": "apiVersion: networking.k8s.io/v1\nkind: Ingress\n" + s.metadata() + fmt.Sprintf(ingressSpec, s.id(), s.id()),
	}
}

const deploymentSpec = `spec:
  replicas: 0
  selector:
    matchLabels: {app: %s}
  template:
    metadata:
      labels: {app: %s}
      annotations: {rev: "%d"}
    spec:
      serviceAccountName: %s
      containers:
      - name: podinfo
        image: podinfo
        ports: [{name: http, containerPort: 9898}]
        livenessProbe: {httpGet: {path: /healthz, port: http}}
        readinessProbe: {httpGet: {path: /readyz, port: http}}
        resources:
          requests: {cpu: 10m, memory: 32Mi}
          limits: {memory: 128Mi}
`

const ingressSpec = `spec:
  rules:
  - host: %s.example.com
    http:
      paths:
      - path: /
        pathType: Prefix
        backend: {service: {name: %s, port: {number: 80}}}
`

// fields is a JSON object.
type fields = map[string]any

// object returns what the files of s render to for k, as JSON. This is what the floor sends.
func (s service) object(k kind) []byte {
	meta := fields{"name": s.id(), "namespace": targetNamespace}
	if s.mark > 0 {
		meta["annotations"] = fields{markAnnotation: fmt.Sprint(s.mark)}
	}
	o := fields{"apiVersion": k.apiVersion(), "kind": k.name, "metadata": meta}
	switch k {
	case services:
		o["spec"] = fields{"type": "ExternalName", "externalName": s.id() + ".example.com"}
	case deployments:
		o["spec"] = s.deployment()
	case ingresses:
		backend := fields{"service": fields{"name": s.id(), "port": fields{"number": 80}}}
		o["spec"] = fields{"rules": []any{fields{
			"host": s.id() + ".example.com",
			"http": fields{"paths": []any{fields{"path": "/", "pathType": "Prefix", "backend": backend}}},
		}}}
	}
	body, err := json.Marshal(o)
	if err != nil {
		panic(err) // it is made of maps and strings only
	}
	return body
}

func (s service) deployment() fields {
	labels := fields{"app": s.id()}
	probe := func(path string) fields { return fields{"httpGet": fields{"path": path, "port": "http"}} }
	return fields{
		"replicas": 0,
		"selector": fields{"matchLabels": labels},
		"template": fields{
			"metadata": fields{"labels": labels, "annotations": fields{"rev": fmt.Sprint(s.rev)}},
			"spec": fields{
				"serviceAccountName": s.id(),
				"containers": []any{fields{
					"name":           "podinfo",
					"image":          "ghcr.io/stefanprodan/podinfo:6.5.0",
					"ports":          []any{fields{"name": "http", "containerPort": 9898}},
					"livenessProbe":  probe("/healthz"),
					"readinessProbe": probe("/readyz"),
					"resources":      fields{"requests": fields{"cpu": "10m", "memory": "32Mi"}, "limits": fields{"memory": "128Mi"}},
				}},
			},
		},
	}
}

// matches reports whether o has what s says, in the fields that commits and drift change.
func (s service) matches(k kind, o *object) bool {
	mark := ""
	if s.mark > 0 {
		mark = fmt.Sprint(s.mark)
	}
	switch {
	case o.Metadata.Annotations[markAnnotation] != mark:
		return false
	case k == deployments:
		return o.Spec.Template.Metadata.Annotations["rev"] == fmt.Sprint(s.rev)
	case k == services:
		return o.Spec.ExternalName == s.id()+".example.com"
	default:
		return true
	}
}
