package job_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	utiljson "k8s.io/apimachinery/pkg/util/json"
	"sigs.k8s.io/yaml"

	"github.com/sengu-dev/sengu/internal/job"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// unstructuredOf makes an object as a decoder of JSON would.
func unstructuredOf(object map[string]any) *unstructured.Unstructured {
	return &unstructured.Unstructured{Object: object}
}

// parse reads YAML as the renderer does: whole numbers stay whole.
func parse(t *testing.T, text string) map[string]any {
	t.Helper()
	data, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	object := map[string]any{}
	if err := utiljson.Unmarshal(data, &object); err != nil {
		t.Fatal(err)
	}
	return object
}

func template(t *testing.T, text string) manifest.Object {
	t.Helper()
	return manifest.Object{Unstructured: unstructuredOf(parse(t, text)), Origin: "apps/checkout/job.yaml:3"}
}

var owner = manifest.Owner{Namespace: "sengu", Name: "checkout-staging", UID: "u-1"}

func base() job.Spec {
	return job.Spec{
		Name: "checkout-staging-migrate-0123456-x", Namespace: "shop", Owner: owner,
		Release: "checkout-7", Environment: "staging", Step: "migrate",
	}
}

// head is what every Job of base has.
const head = `
apiVersion: batch/v1
kind: Job
metadata:
  name: checkout-staging-migrate-0123456-x
  namespace: shop
`

const marks = `
    sengu.dev/release: checkout-7
    sengu.dev/environment: staging
    sengu.dev/step: migrate
    sengu.dev/job-of: u-1 sengu/checkout-staging shop/checkout-staging-migrate-0123456-x
`

func TestBuild(t *testing.T) {
	cases := map[string]struct {
		reason string
		change func(*job.Spec)
		want   string
	}{
		"Inline": {
			reason: "A container is all that is needed: it runs once, and Kubernetes removes it after a day.",
			change: func(s *job.Spec) {
				s.Container = job.Container{
					Image: "example.com/migrate:1", Command: []string{"migrate"}, Args: []string{"up"},
					Env: []corev1.EnvVar{{Name: "A", Value: "b"}}, ServiceAccountName: "migrator",
				}
				s.Timeout = 90*time.Second + time.Millisecond
			},
			want: head + `
  labels: {sengu.dev/job: checkout-staging}
  annotations:` + marks + `
spec:
  activeDeadlineSeconds: 91
  backoffLimit: 0
  ttlSecondsAfterFinished: 86400
  template:
    metadata:
      labels: {sengu.dev/job: checkout-staging}
    spec:
      restartPolicy: Never
      serviceAccountName: migrator
      containers:
      - name: job
        image: example.com/migrate:1
        command: [migrate]
        args: [up]
        env: [{name: A, value: b}]
        resources: {}
`,
		},
		"Template": {
			reason: "What the template says of itself, of its status, of other tools and of another run's Pods is left out, and the rest stays.",
			change: func(s *job.Spec) {
				s.Template = template(t, `
apiVersion: batch/v1
kind: Job
metadata:
  name: migrate
  generateName: migrate-
  namespace: shop
  uid: x
  resourceVersion: "7"
  finalizers: [example.com/x]
  ownerReferences: [{apiVersion: v1, kind: ConfigMap, name: a, uid: b}]
  labels:
    team: shop
    controller-uid: x
    job-name: migrate
    batch.kubernetes.io/controller-uid: x
    batch.kubernetes.io/job-name: migrate
    sengu.dev/app: sengu.checkout-staging
  annotations:
    note: kept
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-delete-policy: before-hook-creation,hook-succeeded
    argocd.argoproj.io/hook: PreSync
    argocd.argoproj.io/tracking-id: shop:batch/Job:shop/migrate
    meta.helm.sh/release-name: shop
    batch.kubernetes.io/job-tracking: ""
    kubectl.kubernetes.io/last-applied-configuration: "{}"
    sengu.dev/owner: u-1 sengu/checkout-staging batch/Job/shop/migrate
    sengu.dev/wave: "-1"
spec:
  ttlSecondsAfterFinished: 5
  backoffLimit: 4
  activeDeadlineSeconds: 60
  suspend: true
  manualSelector: true
  selector: {matchLabels: {controller-uid: x}}
  template:
    metadata:
      labels: {app: migrate, controller-uid: x, job-name: migrate, sengu.dev/app: x}
      annotations: {note: kept, sengu.dev/owner: x}
    spec:
      restartPolicy: OnFailure
      containers: [{name: app, image: "example.com/app:1"}]
status: {succeeded: 1, conditions: [{type: Complete, status: "True"}]}
`)
			},
			want: head + `
  labels: {sengu.dev/job: checkout-staging, team: shop}
  annotations:
    note: kept` + marks + `
spec:
  ttlSecondsAfterFinished: 5
  backoffLimit: 4
  activeDeadlineSeconds: 60
  template:
    metadata:
      labels: {app: migrate, sengu.dev/job: checkout-staging}
      annotations: {note: kept}
    spec:
      restartPolicy: OnFailure
      containers: [{name: app, image: "example.com/app:1"}]
`,
		},
		"TemplateChanged": {
			reason: "What the step says stands above the template, and a Pod that does not say so is not started again.",
			change: func(s *job.Spec) {
				s.Timeout, s.BackoffLimit = time.Minute, new(int32(2))
				s.Template = template(t, `{apiVersion: batch/v1, kind: Job, metadata: {name: migrate}, spec: {backoffLimit: 4, activeDeadlineSeconds: 5, template: {spec: {containers: [{name: a, image: b}]}}}}`)
			},
			want: head + `
  labels: {sengu.dev/job: checkout-staging}
  annotations:` + marks + `
spec:
  backoffLimit: 2
  activeDeadlineSeconds: 60
  template:
    metadata: {labels: {sengu.dev/job: checkout-staging}, annotations: {}}
    spec:
      restartPolicy: Never
      containers: [{name: a, image: b}]
`,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := base()
			tc.change(&s)
			before := s.Template.DeepCopy()
			got, err := job.Build(s)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(parse(t, tc.want), got.Object); diff != "" {
				t.Errorf("%s\n-want +got:\n%s", tc.reason, diff)
			}
			if _, ours := got.GetLabels()[manifest.LabelApp]; ours {
				t.Error("an App would prune it")
			}
			if s.Template.Unstructured != nil && !cmp.Equal(before.Object, s.Template.Object) {
				t.Error("the template itself was changed")
			}
		})
	}
}

func TestBuildRefuses(t *testing.T) {
	const plain = `{apiVersion: batch/v1, kind: Job, metadata: {name: migrate}, spec: {template: {spec: {containers: []}}}}`
	cases := map[string]struct {
		change func(*job.Spec)
		want   string
	}{
		"Nothing": {func(*job.Spec) {}, "step migrate has neither a Job of the manifests nor an image"},
		"Both":    {func(s *job.Spec) { s.Template, s.Container.Image = template(t, plain), "a" }, "step migrate has both a Job of the manifests and an image: leave out one"},
		"CronJob": {func(s *job.Spec) {
			s.Template = template(t, `{apiVersion: batch/v1, kind: CronJob, metadata: {name: migrate}}`)
		}, "CronJob migrate (apps/checkout/job.yaml:3): it cannot be run as a step: its apiVersion and kind are batch/v1 CronJob, and must be batch/v1 Job"},
		"OtherNamespace": {func(s *job.Spec) {
			s.Template = template(t, strings.Replace(plain, "name: migrate", "name: migrate, namespace: kube-system", 1))
		}, "Job kube-system/migrate (apps/checkout/job.yaml:3): it cannot be run as a step: it is for the namespace kube-system, and the step runs in shop: leave its namespace out"},
		"NoSpec": {func(s *job.Spec) {
			s.Template = template(t, `{apiVersion: batch/v1, kind: Job, metadata: {name: migrate}}`)
		}, "Job migrate (apps/checkout/job.yaml:3): it cannot be run as a step: it has no spec"},
		"NoPod": {func(s *job.Spec) {
			s.Template = template(t, `{apiVersion: batch/v1, kind: Job, metadata: {name: migrate}, spec: {}}`)
		}, "Job migrate (apps/checkout/job.yaml:3): it cannot be run as a step: it has no spec.template"},
		"NoPodSpec": {func(s *job.Spec) {
			s.Template = template(t, `{apiVersion: batch/v1, kind: Job, metadata: {name: migrate}, spec: {template: []}}`)
		}, "Job migrate (apps/checkout/job.yaml:3): it cannot be run as a step: it has no spec.template"},
		"NegativeTimeout": {func(s *job.Spec) { s.Container.Image, s.Timeout = "a", -1 }, "step migrate: timeout must not be negative"},
		"NegativeRetries": {func(s *job.Spec) { s.Container.Image, s.BackoffLimit = "a", new(int32(-1)) }, "step migrate: the number of retries must not be negative"},
		"NoName":          {func(s *job.Spec) { s.Container.Image, s.Name = "a", "A b" }, "the Job of step migrate has no valid name"},
		"Path":            {func(s *job.Spec) { s.Container.Image, s.Namespace = "a", "../kube-system" }, "the Job of step migrate has no valid namespace"},
		"NoOwner":         {func(s *job.Spec) { s.Container.Image, s.Owner.UID = "a", "" }, "Job shop/checkout-staging-migrate-0123456-x does not say which App, Release and step it is for"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			s := base()
			tc.change(&s)
			_, err := job.Build(s)
			if err == nil || err.Error() != tc.want {
				t.Errorf("got  %v\nwant %s", err, tc.want)
			}
			var refusal *job.Refusal
			if errors.As(err, &refusal) {
				t.Error("a spec that makes no sense was not refused by the cluster")
			}
		})
	}
}
