package release

import (
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// noon is when the tests begin.
var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func fleetOf(envs ...v1alpha1.Environment) *v1alpha1.Fleet {
	return &v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Name: "shop"}, Spec: v1alpha1.FleetSpec{Environments: envs}}
}

func TestNewReleaseEntersTheFirstEnvironmentAndWaitsForTheSecond(t *testing.T) {
	fleet := fleetOf(v1alpha1.Environment{Name: "dev"}, v1alpha1.Environment{Name: "prod", After: []string{"dev"}})
	r := &v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Name: "r1"}, Spec: v1alpha1.ReleaseSpec{
		Revision: "a", Sequence: 1,
		Environments: []v1alpha1.ReleaseEnvironment{{Name: "dev", Digest: "d1"}, {Name: "prod", Digest: "p1"}},
	}}
	d := Next(Service{Now: noon, Fleet: fleet, Name: "web", Releases: []*v1alpha1.Release{r}, Plans: map[Place]Plan{{"r1", "dev"}: {}}})
	move, ok := d.Moves["dev"]
	if !ok || !move.Create || move.Release != "r1" || move.Digest != "d1" {
		t.Errorf("dev is not brought to the Release: %+v", d.Moves)
	}
	if _, early := d.Moves["prod"]; early {
		t.Errorf("prod is brought to the Release before dev has passed")
	}
	st := d.Statuses["r1"]
	if st.Stage != v1alpha1.StageRunning || st.Environments[1].Why == nil || st.Environments[1].Why.Message != "dev comes first" {
		t.Errorf("status: %+v", st)
	}
}
