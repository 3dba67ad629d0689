package cli

import (
	"fmt"
	"reflect"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/standing"
)

// TestSecretsOf has every place that may name a Secret name one, those too that the kinds get later, and finds them all.
func TestSecretsOf(t *testing.T) {
	var want []string
	record := standing.Record{Clusters: map[string]v1alpha1.ClusterSpec{}}
	cluster := v1alpha1.ClusterSpec{}
	nameSecrets(reflect.ValueOf(&record.Fleet).Elem(), &want)
	nameSecrets(reflect.ValueOf(&cluster).Elem(), &want)
	record.Clusters["dev"], record.Clusters["prod"] = cluster, cluster
	if len(want) < 10 {
		t.Fatalf("only %v may be named: this test would not notice anything", want)
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, secretsOf(record)); diff != "" {
		t.Error(diff)
	}
	if got := secretsOf(standing.Record{}); len(got) > 0 {
		t.Errorf("a record that names no Secret needs %v", got)
	}
}

// nameSecrets puts something into every field below v, and another name into each reference to a Secret.
func nameSecrets(v reflect.Value, names *[]string) {
	switch {
	case v.Type() == reflect.TypeFor[v1alpha1.SecretReference]():
		*names = append(*names, fmt.Sprintf("secret-%02d", len(*names)))
		v.Set(reflect.ValueOf(v1alpha1.SecretReference{Name: (*names)[len(*names)-1]}))
	case v.Kind() == reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		nameSecrets(v.Elem(), names)
	case v.Kind() == reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			nameSecrets(v.Index(i), names)
		}
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			if v.Field(i).CanSet() {
				nameSecrets(v.Field(i), names)
			}
		}
	}
}
