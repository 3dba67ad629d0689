package record_test

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/record"
)

func TestRecentGivesWayToTheCache(t *testing.T) {
	var book record.Recent[*v1alpha1.App]
	at := func(version string) *v1alpha1.App {
		return &v1alpha1.App{ObjectMeta: metav1.ObjectMeta{Name: "a", UID: "uid", ResourceVersion: version}}
	}
	book.Keep(at("9"))
	if got := book.Latest(at("8")).ResourceVersion; got != "9" {
		t.Errorf("the stale cache wins: %s", got)
	}
	if got := book.Latest(at("10")).ResourceVersion; got != "10" {
		t.Errorf("the kept App outlives a newer one: %s", got)
	}
	if got := book.Latest(at("8")).ResourceVersion; got != "8" {
		t.Errorf("the kept App was not let go: %s", got)
	}
	book.Keep(at("9"))
	other := at("1")
	other.UID = "other"
	if got := book.Latest(other); got.UID != "other" {
		t.Error("an App that was made anew is taken for the old one")
	}
}
