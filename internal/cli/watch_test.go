package cli_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/internal/cli"
	"github.com/sengu-dev/sengu/internal/testenv"
)

// output keeps what is written to it, to be read while more is written.
type output struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

// has waits until what was written holds want.
func (o *output) has(t *testing.T, want string) {
	t.Helper()
	testenv.Eventually(t, patience, func() error {
		if !strings.Contains(o.String(), want) {
			return errors.New(want + " is not in: " + o.String())
		}
		return nil
	})
}

func TestWatch(t *testing.T) {
	p, kubeconfig := installed(t)
	namespace := testenv.Plane(t).Namespace(t)
	app := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": "sengu.dev/v1alpha1", "kind": "App",
		"metadata": map[string]any{"name": "shop-cart-develop", "namespace": namespace},
		"spec": map[string]any{
			"fleet": "shop", "service": "cart", "environment": "develop",
			"source": map[string]any{"revision": strings.Repeat("a", 40), "path": "apps/cart", "cluster": "dev", "namespace": "cart"},
		},
	}}
	if err := p.Create(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	formats := map[string]struct {
		before, after string
		out           *output
		code          chan int
	}{
		"table": {before: "cart      - unknown unknown -\n", after: " cart/develop aaaaaaa synced healthy\n"},
		"json":  {before: `"name":"shop-cart-develop"`, after: `"health":"Healthy"`},
		"yaml":  {before: "name: shop-cart-develop", after: "health: Healthy"},
	}
	for format, f := range formats {
		f.out, f.code = &output{}, make(chan int, 1)
		formats[format] = f
		go func() {
			args := []string{"get", "--watch", "-o", format, "-n", namespace, "--kubeconfig", kubeconfig}
			f.code <- cli.Run(ctx, args, strings.NewReader(""), f.out, f.out, func(string) string { return "" })
		}()
		f.out.has(t, f.before)
	}
	status, err := json.Marshal(map[string]any{"status": map[string]any{
		"observedGeneration": 1, "revision": strings.Repeat("a", 40), "sync": "Synced", "health": "Healthy",
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Status().Patch(t.Context(), app, client.RawPatch(types.MergePatchType, status)); err != nil {
		t.Fatal(err)
	}
	for _, f := range formats {
		f.out.has(t, f.after)
	}
	if err := p.Delete(t.Context(), app); err != nil {
		t.Fatal(err)
	}
	formats["table"].out.has(t, "shop-cart-develop is gone")
	cancel()
	for format, f := range formats {
		if code := <-f.code; code != 0 {
			t.Errorf("get --watch -o %s: an interrupt ends it with exit code %d, want 0", format, code)
		}
	}
}
