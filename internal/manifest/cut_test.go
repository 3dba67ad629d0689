package manifest

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func paths(t *testing.T, texts ...string) []FieldPath {
	t.Helper()
	var list []FieldPath
	for _, text := range texts {
		path, err := ParseFieldPath(text)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, path)
	}
	return list
}

func TestDropAndExtract(t *testing.T) {
	const service = `{apiVersion: v1, kind: Service, metadata: {name: a, namespace: shop, labels: {x: y}}, spec: {type: ClusterIP, externalIPs: [a, b],
	  ports: [{port: 80, protocol: TCP, nodePort: 30080}, {port: 81, protocol: TCP, nodePort: 30081}]}}`
	cases := map[string]struct {
		reason  string
		fields  []string
		dropped string
		part    string
	}{
		"Field": {
			reason:  "One field.",
			fields:  []string{"spec.type"},
			dropped: `{apiVersion: v1, kind: Service, metadata: {name: a, namespace: shop, labels: {x: y}}, spec: {externalIPs: [a, b], ports: [{port: 80, protocol: TCP, nodePort: 30080}, {port: 81, protocol: TCP, nodePort: 30081}]}}`,
			part:    `{apiVersion: v1, kind: Service, metadata: {name: a, namespace: shop}, spec: {type: ClusterIP}}`,
		},
		"Keyed": {
			reason:  "Fields of items of a keyed list take their keys along.",
			fields:  []string{"spec.ports[port=80,protocol=TCP].nodePort", "spec.ports[port=81,protocol=TCP].nodePort"},
			dropped: `{apiVersion: v1, kind: Service, metadata: {name: a, namespace: shop, labels: {x: y}}, spec: {type: ClusterIP, externalIPs: [a, b], ports: [{port: 80, protocol: TCP}, {port: 81, protocol: TCP}]}}`,
			part:    `{apiVersion: v1, kind: Service, metadata: {name: a, namespace: shop}, spec: {ports: [{port: 80, protocol: TCP, nodePort: 30080}, {port: 81, protocol: TCP, nodePort: 30081}]}}`,
		},
		"Item": {
			reason:  "A whole item of a keyed list.",
			fields:  []string{"spec.ports[port=81,protocol=TCP]"},
			dropped: `{apiVersion: v1, kind: Service, metadata: {name: a, namespace: shop, labels: {x: y}}, spec: {type: ClusterIP, externalIPs: [a, b], ports: [{port: 80, protocol: TCP, nodePort: 30080}]}}`,
			part:    `{apiVersion: v1, kind: Service, metadata: {name: a, namespace: shop}, spec: {ports: [{port: 81, protocol: TCP, nodePort: 30081}]}}`,
		},
		"Place": {
			reason:  "An item without keys takes the whole list along.",
			fields:  []string{"spec.externalIPs[0]"},
			dropped: `{apiVersion: v1, kind: Service, metadata: {name: a, namespace: shop, labels: {x: y}}, spec: {type: ClusterIP, externalIPs: [b], ports: [{port: 80, protocol: TCP, nodePort: 30080}, {port: 81, protocol: TCP, nodePort: 30081}]}}`,
			part:    `{apiVersion: v1, kind: Service, metadata: {name: a, namespace: shop}, spec: {externalIPs: [a, b]}}`,
		},
		"EmptyStays": {
			reason:  "A container that becomes empty stays.",
			fields:  []string{"metadata.labels.x"},
			dropped: `{apiVersion: v1, kind: Service, metadata: {name: a, namespace: shop, labels: {}}, spec: {type: ClusterIP, externalIPs: [a, b], ports: [{port: 80, protocol: TCP, nodePort: 30080}, {port: 81, protocol: TCP, nodePort: 30081}]}}`,
			part:    `{apiVersion: v1, kind: Service, metadata: {name: a, namespace: shop, labels: {x: y}}}`,
		},
		"NotThere": {
			reason:  "What is not there is neither dropped nor extracted.",
			fields:  []string{"spec.clusterIP", "spec.ports[port=99].nodePort", "spec.type.x", "spec.externalIPs[7]", "status.x"},
			dropped: service,
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			u := parse(t, service)
			fields := paths(t, tc.fields...)
			if diff := cmp.Diff(parse(t, tc.dropped).Object, Drop(u, fields).Object); diff != "" {
				t.Errorf("%s\nDrop(...): -want, +got:\n%s", tc.reason, diff)
			}
			part, ok := Extract(u, fields)
			if ok != (tc.part != "") {
				t.Fatalf("%s\nExtract(...) = %v, want %v", tc.reason, ok, tc.part != "")
			}
			if ok {
				if diff := cmp.Diff(parse(t, tc.part).Object, part.Object); diff != "" {
					t.Errorf("%s\nExtract(...): -want, +got:\n%s", tc.reason, diff)
				}
			}
			if diff := cmp.Diff(parse(t, service).Object, u.Object); diff != "" {
				t.Errorf("the object that was passed in has changed: -before, +after:\n%s", diff)
			}
		})
	}
}
