package render

import (
	"context"
	"testing"
)

func TestRenderKustomize(t *testing.T) {
	src := writeTree(t, f1App("shop"))
	r := newRenderer(t)
	res, err := r.Render(context.Background(), Request{Source: src, Path: "apps/shop"})
	if err != nil {
		t.Fatal(err)
	}
	for _, o := range res.Objects {
		t.Log(o.Ref(), o.Origin)
	}
	t.Log(res.ReadSet, res.Degraded)
	if len(res.Objects) != 4 {
		t.Fatalf("%d objects", len(res.Objects))
	}
}
