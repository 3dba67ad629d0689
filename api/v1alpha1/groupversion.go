// Package v1alpha1 holds the Kubernetes objects that people and Sengu share: Cluster, Fleet, App,
// Release and Check.
//
// It is responsible for their schema, with the rules that refuse a bad object at admission, and for the words that
// every other package uses for sync and health. It refuses behaviour: the little code here only makes and reads its data.
//
// +kubebuilder:object:generate=true
// +groupName=sengu.dev
package v1alpha1

import (
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// GroupVersion is the API group and version of everything in this package.
var GroupVersion = schema.GroupVersion{Group: "sengu.dev", Version: "v1alpha1"}

// AddToScheme makes s know the kinds of this package.
func AddToScheme(s *runtime.Scheme) error {
	s.AddKnownTypes(GroupVersion,
		&Cluster{}, &ClusterList{},
		&Fleet{}, &FleetList{},
		&App{}, &AppList{},
		&Release{}, &ReleaseList{},
		&Check{}, &CheckList{},
	)
	metav1.AddToGroupVersion(s, GroupVersion)
	return nil
}
