package manifest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

const scaledDeployment = `{apiVersion: apps/v1, kind: Deployment, metadata: {name: checkout}, spec: {replicas: 5, template: {spec: {
  initContainers: [{name: init, image: a}],
  containers: [{name: app, image: b, ports: [{containerPort: 80}]}, {name: side, image: c}]}}}}`

func TestIgnored(t *testing.T) {
	hpa := func(ref string) string {
		return "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: checkout}, spec: {scaleTargetRef: " + ref + "}}"
	}
	deployment := Ref{"apps", "Deployment", "shop", "checkout"}
	cases := map[string]struct {
		reason string
		set    []string
		rules  []IgnoreRule
		want   map[Ref][]string
	}{
		"Nothing": {reason: "Without a rule nothing is ignored.", set: []string{scaledDeployment}, want: map[Ref][]string{}},
		"HPA": {
			reason: "Who scales is found without being told.",
			set:    []string{scaledDeployment, hpa("{apiVersion: apps/v1, kind: Deployment, name: checkout}")},
			want:   map[Ref][]string{deployment: {"spec.replicas"}},
		},
		"HPAWithoutGroup": {
			reason: "Also where the group is left out.",
			set:    []string{scaledDeployment, hpa("{kind: Deployment, name: checkout}")},
			want:   map[Ref][]string{deployment: {"spec.replicas"}},
		},
		"HPAElsewhere": {
			reason: "What is not of the App is not touched.",
			set:    []string{scaledDeployment, hpa("{apiVersion: apps/v1, kind: Deployment, name: other}"), "{apiVersion: autoscaling/v2, kind: HorizontalPodAutoscaler, metadata: {name: x, namespace: other}, spec: {scaleTargetRef: {kind: Deployment, name: checkout}}}"},
			want:   map[Ref][]string{},
		},
		"KEDA": {
			reason: "KEDA means a Deployment where it says nothing.",
			set:    []string{scaledDeployment, "{apiVersion: keda.sh/v1alpha1, kind: ScaledObject, metadata: {name: x}, spec: {scaleTargetRef: {name: checkout}}}"},
			want:   map[Ref][]string{deployment: {"spec.replicas"}},
		},
		"RuleAndHPA": {
			reason: "A field is listed once.",
			set:    []string{scaledDeployment, hpa("{kind: Deployment, name: checkout}")},
			rules:  []IgnoreRule{{Kind: "Deployment", Fields: []string{"/spec/replicas", "spec.paused"}}},
			want:   map[Ref][]string{deployment: {"spec.replicas", "spec.paused"}},
		},
		"PlaceToKey": {
			reason: "A place becomes the key, because a sidecar moves places.",
			set:    []string{scaledDeployment},
			rules:  []IgnoreRule{{Group: "apps", Name: "check*", Fields: []string{"/spec/template/spec/containers/0/image", "spec.template.spec.containers[name=app].ports[containerPort=80].name"}}},
			want: map[Ref][]string{deployment: {
				"spec.template.spec.containers[name=app].image",
				"spec.template.spec.containers[name=app].ports[containerPort=80,protocol=TCP].name",
			}},
		},
		"Every": {
			reason: "Every item.",
			set:    []string{scaledDeployment},
			rules:  []IgnoreRule{{Fields: []string{"spec.template.spec.containers[*].image"}}},
			want:   map[Ref][]string{deployment: {"spec.template.spec.containers[name=app].image", "spec.template.spec.containers[name=side].image"}},
		},
		"NotThere": {
			reason: "A field that the object lacks is listed, for an earlier version of it may have had it.",
			set:    []string{scaledDeployment},
			rules:  []IgnoreRule{{Kind: "Deployment", Fields: []string{"spec.template.spec.containers[name=gone].image"}}},
			want:   map[Ref][]string{deployment: {"spec.template.spec.containers[name=gone].image"}},
		},
		"OtherObjects": {
			reason: "A rule is for what it names.",
			set:    []string{scaledDeployment},
			rules:  []IgnoreRule{{Group: "batch", Fields: []string{"spec.x"}}, {Kind: "Job", Fields: []string{"spec.x"}}, {Name: "cart", Fields: []string{"spec.x"}}, {Namespace: "o*", Fields: []string{"spec.x"}}, {}},
			want:   map[Ref][]string{},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := map[Ref][]string{}
			for ref, paths := range Ignored(newSet(t, tc.set...), tc.rules) {
				for _, path := range paths {
					got[ref] = append(got[ref], path.String())
				}
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Errorf("%s\nIgnored(...): -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestIgnoreRuleValidate(t *testing.T) {
	cases := map[string]struct {
		rule IgnoreRule
		want string
	}{
		"Fine":       {IgnoreRule{Kind: "Deployment", Fields: []string{"/spec/replicas", "metadata.labels.team"}}, ""},
		"NoFields":   {IgnoreRule{Kind: "Deployment"}, "an ignore rule names at least one field"},
		"BadPath":    {IgnoreRule{Fields: []string{"a..b"}}, `field path "a..b": an element is empty`},
		"BadPattern": {IgnoreRule{Name: "[", Fields: []string{"a"}}, `the pattern "[" of an ignore rule cannot be read`},
		"Name":       {IgnoreRule{Fields: []string{"metadata.name"}}, `field path "metadata.name": metadata.name cannot be ignored`},
		"Metadata":   {IgnoreRule{Fields: []string{"/metadata"}}, `field path "/metadata": metadata.name cannot be ignored`},
		"Labels":     {IgnoreRule{Fields: []string{"/metadata/labels"}}, `field path "/metadata/labels": metadata.labels["sengu.dev/app"] cannot be ignored`},
		"Owner":      {IgnoreRule{Fields: []string{`metadata.annotations["sengu.dev/owner"]`}}, `field path "metadata.annotations[\"sengu.dev/owner\"]": metadata.annotations["sengu.dev/owner"] cannot be ignored`},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			if got := errorText(tc.rule.Validate()); got != tc.want {
				t.Errorf("Validate() = %s, want %s", got, tc.want)
			}
		})
	}
}
