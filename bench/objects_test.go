package main

import (
	"encoding/json"
	"path"
	"reflect"
	"testing"

	"sigs.k8s.io/kustomize/api/krusty"
	"sigs.k8s.io/kustomize/kyaml/filesys"
)

// The floor is only a floor if it sends what the repository renders to.
func TestFloorSendsWhatTheFilesRenderTo(t *testing.T) {
	for name, s := range map[string]service{
		"first commit": {name: "app-0001", rev: 1},
		"changed":      {name: "app-0002", rev: 7, mark: 3},
	} {
		t.Run(name, func(t *testing.T) {
			disk := filesys.MakeFsInMemory()
			for file, text := range s.files() {
				if err := disk.WriteFile(path.Join("/app", file), []byte(text)); err != nil {
					t.Fatal(err)
				}
			}
			rendered, err := krusty.MakeKustomizer(krusty.MakeDefaultOptions()).Run(disk, "/app")
			if err != nil {
				t.Fatal(err)
			}
			if rendered.Size() != len(kinds) {
				t.Fatalf("%d objects rendered, want %d", rendered.Size(), len(kinds))
			}
			for i, k := range kinds {
				want, err := rendered.Resources()[i].MarshalJSON()
				if err != nil {
					t.Fatal(err)
				}
				if !equalJSON(t, want, s.object(k)) {
					t.Errorf("%s:\nrendered %s\nfloor    %s", k.name, want, s.object(k))
				}
			}
		})
	}
}

func equalJSON(t *testing.T, a, b []byte) bool {
	t.Helper()
	var x, y any
	if err := json.Unmarshal(a, &x); err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, &y); err != nil {
		t.Fatal(err)
	}
	return reflect.DeepEqual(x, y)
}
