package standing

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

func app(service, environment, revision, good string) v1alpha1.App {
	a := v1alpha1.App{Spec: v1alpha1.AppSpec{Fleet: "shop", Service: service, Environment: environment, Source: v1alpha1.AppSource{Revision: revision, Path: "p", Cluster: "c", Namespace: "n"}}}
	if good != "" {
		a.Spec.LastGood = &v1alpha1.GoodSource{Source: v1alpha1.AppSource{Revision: good}}
	}
	return a
}

func TestRecord(t *testing.T) {
	fleet := &v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Name: "shop"}, Spec: v1alpha1.FleetSpec{Layout: "l", Environments: []v1alpha1.Environment{{Name: "prod", Cluster: "c"}}}}
	byHand := app("", "", "x", "")
	other := app("web", "prod", "y", "")
	other.Spec.Fleet = "other"
	clusters := []v1alpha1.Cluster{{ObjectMeta: metav1.ObjectMeta{Name: "c"}}, {ObjectMeta: metav1.ObjectMeta{Name: "unused"}}}
	r := Of(fleet, []v1alpha1.App{app("web", "prod", "2", "1"), app("web-2", "prod", "2", ""), app("api", "prod", "2", ""), byHand, other}, clusters)
	if diff := cmp.Diff([]string{"1", "2"}, Revisions(r.Apps)); diff != "" {
		t.Errorf("revisions: -want +got:\n%s", diff)
	}
	files, err := r.Files()
	if err != nil {
		t.Fatal(err)
	}
	back, err := Read(files)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(r, back); diff != "" {
		t.Errorf("what was written is read otherwise: -want +got:\n%s", diff)
	}
	if len(back.Apps) != 3 || back.Apps[0].Service != "api" || len(back.Clusters) != 1 {
		t.Errorf("the record is %+v", back)
	}
}

// TestWriters says which of two Fleets of one name writes the record: the one that was made later, as a restored one is.
func TestWriters(t *testing.T) {
	at := metav1.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	later := metav1.NewTime(at.Add(time.Second))
	for name, tt := range map[string]struct {
		other Writer
		want  bool
	}{
		"Nobody":            {Writer{}, false},
		"Itself":            {Writer{UID: "b", Created: at}, false},
		"MadeEarlier":       {Writer{UID: "c", Created: metav1.NewTime(at.Add(-time.Second))}, false},
		"MadeLater":         {Writer{UID: "a", Created: later}, true},
		"MadeAtTheSameTime": {Writer{UID: "c", Created: at}, true},
		"AndFirstByName":    {Writer{UID: "a", Created: at}, false},
	} {
		files, err := Record{Writer: tt.other}.Files()
		if err != nil {
			t.Fatal(err)
		}
		if got := (Writer{UID: "b", Created: at}).YieldsTo(WriterOf(files)); got != tt.want {
			t.Errorf("%s: it yields: %v, want %v", name, got, tt.want)
		}
	}
	if is := WriterOf(map[string][]byte{writerFile: []byte("who: me")}); is != (Writer{}) {
		t.Errorf("a file that no Sengu wrote is from %+v", is)
	}
}

// TestFilesOf changes one service, and takes one away.
func TestFilesOf(t *testing.T) {
	apps := AppsOf("shop", []v1alpha1.App{app("web", "prod", "2", "1"), app("api", "dev", "1", ""), app("api", "prod", "1", "")})
	all, err := FilesOf(nil, apps)
	if err != nil {
		t.Fatal(err)
	}
	apps[0].Source.Revision = "3"
	changes, err := FilesOf([]string{"api", "gone"}, apps[:2])
	if err != nil {
		t.Fatal(err)
	}
	if is, there := changes["apps/gone.yaml"]; !there || is != nil || len(changes) != 2 {
		t.Errorf("the changes are %q", changes)
	}
	if diff := cmp.Diff(strings.Replace(string(all["apps/api.yaml"]), "revision: \"1\"", "revision: \"3\"", 1), string(changes["apps/api.yaml"])); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestReadRefuses(t *testing.T) {
	if _, err := Read(map[string][]byte{"apps/web.yaml": []byte("[]")}); err == nil || !strings.Contains(err.Error(), "lacks clusters.yaml, fleet.yaml") {
		t.Errorf("a record that lacks files: %v", err)
	}
	for name, tc := range map[string]struct{ content, want string }{
		"apps/web.yaml": {"- {servise: web}\n", "servise"}, "apps.yaml": {"[]\n", "no record has such a file"},
	} {
		files, err := Record{}.Files()
		if err != nil {
			t.Fatal(err)
		}
		files[name] = []byte(tc.content)
		if _, err := Read(files); err == nil || !strings.Contains(err.Error(), "read "+name) || !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s that no Sengu writes: %v", name, err)
		}
	}
}
