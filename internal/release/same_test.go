package release

import (
	"reflect"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// TestSameForgetsNoField changes one field after the other of what decisions compare, however deep it lies.
func TestSameForgetsNoField(t *testing.T) {
	t.Run("Status", func(t *testing.T) {
		changeEach(t, sameStatus, (*v1alpha1.ReleaseStatus).DeepCopy)
	})
	t.Run("Move", func(t *testing.T) {
		changeEach(t, sameMove, func(m *Move) *Move {
			c := *m
			c.Hold, c.LastGood = m.Hold.DeepCopy(), m.LastGood.DeepCopy()
			return &c
		})
	})
}

// changeEach holds a value whose every field is set against copies of it that differ in one.
func changeEach[T any](t *testing.T, same func(a, b *T) bool, copied func(*T) *T) {
	t.Helper()
	full := new(T)
	fill(reflect.ValueOf(full).Elem())
	n := leaves(reflect.ValueOf(full).Elem(), -1, "", nil)
	if n < 10 {
		t.Fatalf("only %d fields are found", n)
	}
	if !same(full, copied(full)) || !same(new(T), new(T)) {
		t.Error("what is the same differs")
	}
	for i := range n {
		other, changed := copied(full), ""
		leaves(reflect.ValueOf(other).Elem(), i, "", &changed)
		if same(full, other) || same(other, full) {
			t.Errorf("that %s differs is not seen", changed)
		}
	}
}

var timeType = reflect.TypeFor[metav1.Time]()

// fill sets every field of v, lists to one entry.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 1, 1))
		fill(v.Index(0))
	case reflect.Struct:
		if v.Type() == timeType {
			v.Set(reflect.ValueOf(metav1.NewTime(noon)))
			return
		}
		for i := range v.NumField() {
			fill(v.Field(i))
		}
	case reflect.String:
		v.SetString("a")
	case reflect.Bool:
		v.SetBool(true)
	case reflect.Int32, reflect.Int64:
		v.SetInt(1)
	default:
		panic("a field of kind " + v.Kind().String())
	}
}

// leaves changes the n-th thing in v that may differ and notes its name. It returns how many there are.
func leaves(v reflect.Value, n int, name string, changed *string) int {
	seen := 0
	turn := func(change func()) {
		if seen == n {
			change()
			*changed = name
		}
		seen++
	}
	switch v.Kind() {
	case reflect.Pointer:
		seen += leaves(v.Elem(), n, name, changed)
		turn(v.SetZero)
	case reflect.Slice:
		seen += leaves(v.Index(0), n, name+"[0]", changed)
		turn(v.SetZero)
	case reflect.Struct:
		if v.Type() == timeType {
			turn(func() { v.Set(reflect.ValueOf(metav1.NewTime(noon.Add(time.Second)))) })
			break
		}
		for i := range v.NumField() {
			seen += leaves(v.Field(i), n-seen, name+"."+v.Type().Field(i).Name, changed)
		}
	case reflect.String:
		turn(func() { v.SetString("b") })
	case reflect.Bool:
		turn(func() { v.SetBool(false) })
	default:
		turn(func() { v.SetInt(2) })
	}
	return seen
}

func TestSameMeansTheSame(t *testing.T) {
	at, elsewhere := metav1.NewTime(noon), metav1.NewTime(noon.In(time.FixedZone("", 3600)))
	a := v1alpha1.ReleaseStatus{
		Why: &v1alpha1.Why{Since: at}, Ended: &at, Journal: []v1alpha1.Transition{{At: at}},
		Environments: []v1alpha1.ReleaseEnvironmentStatus{{Since: at, Gates: []v1alpha1.Gate{}, Steps: []v1alpha1.StepStatus{}}},
	}
	b := v1alpha1.ReleaseStatus{
		Why: &v1alpha1.Why{Since: elsewhere}, Ended: &elsewhere, Journal: []v1alpha1.Transition{{At: elsewhere}},
		Environments: []v1alpha1.ReleaseEnvironmentStatus{{Since: elsewhere}},
	}
	if !sameStatus(&a, &b) {
		t.Error("a moment in another zone, or an empty list, makes a difference")
	}
}
