package cli_test

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/internal/cli"
	"github.com/sengu-dev/sengu/internal/testenv"
)

const then = "2030-04-01T12:00:00Z"

// waiter makes a Fleet whose production sre approves, and a Release of it that stands before nothing yet.
func waiter(t *testing.T, p planes, namespace string) *unstructured.Unstructured {
	t.Helper()
	made := func(kind, name string, spec map[string]any) *unstructured.Unstructured {
		u := &unstructured.Unstructured{Object: map[string]any{
			"apiVersion": "sengu.dev/v1alpha1", "kind": kind, "metadata": map[string]any{"name": name, "namespace": namespace}, "spec": spec,
		}}
		if err := p.Create(t.Context(), u); err != nil {
			t.Fatal(err)
		}
		return u
	}
	made("Fleet", "shop", map[string]any{
		"git": map[string]any{"url": "https://git.example.com/shop.git"}, "layout": "apps/{service}/{environment}",
		"environments": []any{
			map[string]any{"name": "develop", "cluster": "dev"},
			map[string]any{"name": "production", "cluster": "dev", "after": []any{"develop"}, "approval": map[string]any{"groups": []any{"sre"}}},
		},
	})
	return made("Release", "checkout.shop.aaaaaaa.1", map[string]any{
		"fleet": "shop", "service": "checkout", "revision": strings.Repeat("a", 40), "sequence": int64(1), "group": "shop.aaaaaaa.1",
		"commit":       map[string]any{"title": "Show the delivery date", "author": "Ann <ann@example.com>"},
		"environments": []any{map[string]any{"name": "develop"}, map[string]any{"name": "production"}},
	})
}

// becomes writes how far a Release has come: the stage of develop, and whether production asks for an approval.
func (p planes) becomes(ctx context.Context, t *testing.T, r *unstructured.Unstructured, develop string, handled int) {
	t.Helper()
	gate, message := "after", "develop comes first"
	journal := []any{map[string]any{"number": 1, "kind": "created", "at": then}}
	if develop == "Done" {
		gate, message = "approval", "it waits for an approval by sre: `sengu release approve checkout.shop.aaaaaaa.1 -e production`"
		journal = append(journal, map[string]any{"number": 2, "kind": "waiting", "environment": "production", "at": then, "why": message})
	}
	status, err := json.Marshal(map[string]any{"status": map[string]any{
		"stage": "Waiting", "handledActions": handled, "why": map[string]any{"message": "production: " + message, "since": then}, "journal": journal,
		"environments": []any{
			map[string]any{"name": "develop", "stage": develop, "since": then},
			map[string]any{"name": "production", "stage": "Waiting", "since": then, "gates": []any{map[string]any{"name": gate, "open": false, "message": message}}},
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Status().Patch(ctx, r, client.RawPatch(types.MergePatchType, status)); err != nil {
		t.Fatal(err)
	}
}

// TestWatchEndsBeforePerson watches a Release until somebody has to approve it: the pipeline that watches says so, and
// does not hang.
func TestWatchEndsBeforePerson(t *testing.T) {
	p, kubeconfig := installed(t)
	namespace := testenv.Plane(t).Namespace(t)
	r := waiter(t, p, namespace)
	p.becomes(t.Context(), t, r, "Running", 0)
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, errs, code := &output{}, &output{}, make(chan int, 1)
	go func() {
		args := []string{"release", "show", "checkout", "--watch", "-n", namespace, "--kubeconfig", kubeconfig}
		code <- cli.Run(ctx, args, strings.NewReader(""), out, errs, func(string) string { return "" })
	}()
	out.has(t, "created")
	p.becomes(t.Context(), t, r, "Done", 0)
	if got := <-code; got != 0 || errs.String() != "" {
		t.Errorf("it ends with %d and says %q", got, errs)
	}
	for _, want := range []string{"  ✓ develop", "  ? production", "\nWaits: production: it waits for an approval by sre: `sengu release approve checkout.shop.aaaaaaa.1 -e production`\n"} {
		if !strings.Contains(out.String(), want) {
			t.Errorf("%q is not in\n%s", want, out)
		}
	}
}

// TestApproveInManyGroups has somebody approve who is in more groups than a Release takes, wait for what comes of it, and
// abort: what is recorded is what the approval is judged by.
func TestApproveInManyGroups(t *testing.T) {
	p, kubeconfig := installed(t)
	namespace := testenv.Plane(t).Namespace(t)
	r := waiter(t, p, namespace)
	p.becomes(t.Context(), t, r, "Done", 0)
	config, err := clientcmd.LoadFromFile(kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	groups := []string{"system:masters", "sre"}
	for i := range 70 {
		groups = append(groups, fmt.Sprintf("team-%d-%s", i, strings.Repeat("x", 256)))
	}
	for _, info := range config.AuthInfos {
		info.Impersonate, info.ImpersonateGroups = "ann", groups
	}
	crowded := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, crowded); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	run := func(code chan int, out *output, verb string, more ...string) {
		args := append([]string{"release", verb, "checkout", "-n", namespace, "--kubeconfig", crowded}, more...)
		code <- cli.Run(ctx, args, strings.NewReader(""), out, out, func(string) string { return "" })
	}
	out, code := &output{}, make(chan int, 1)
	go run(code, out, "approve", "--wait")
	recorded := func(n int, groups ...string) {
		t.Helper()
		testenv.Eventually(t, patience, func() error {
			if err := p.Get(t.Context(), client.ObjectKeyFromObject(r), r); err != nil {
				return err
			}
			actions, _, _ := unstructured.NestedSlice(r.Object, "spec", "actions")
			if len(actions) != n {
				return fmt.Errorf("%d actions are recorded: %s", len(actions), out)
			}
			last, _ := actions[n-1].(map[string]any)
			if got, _, _ := unstructured.NestedStringSlice(last, "groups"); last["by"] != "ann" || !slices.Equal(got, groups) {
				t.Errorf("recorded are %v of %v, want %v", got, last["by"], groups)
			}
			return nil
		})
	}
	recorded(1, "sre")
	out.has(t, "approved for production, as ann")
	p.becomes(ctx, t, r, "Done", 1) // somebody else has to approve it as well
	if got := <-code; got != 0 || !strings.Contains(out.String(), "Waits: production: it waits for an approval") {
		t.Errorf("to wait ends with %d and %s", got, out)
	}
	go run(code, out, "abort")
	recorded(2)
	p.becomes(ctx, t, r, "Done", 2)
	if got := <-code; got != 0 {
		t.Errorf("abort ends with %d and %s", got, out)
	}
}

// TestPromoteWaits promotes a Release that has ended, and follows it: it goes on once Sengu has taken that in.
func TestPromoteWaits(t *testing.T) {
	p, kubeconfig := installed(t)
	namespace := testenv.Plane(t).Namespace(t)
	r := waiter(t, p, namespace)
	p.becomes(t.Context(), t, r, "Failed", 0)
	ends := func(ended any, stage string) {
		t.Helper()
		status, err := json.Marshal(map[string]any{"status": map[string]any{"stage": stage, "ended": ended}})
		if err != nil {
			t.Fatal(err)
		}
		if err := p.Status().Patch(t.Context(), r, client.RawPatch(types.MergePatchType, status)); err != nil {
			t.Fatal(err)
		}
	}
	ends(then, "Failed")
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	out, code := &output{}, make(chan int, 1)
	go func() {
		args := []string{"release", "promote", "checkout", "-e", "develop", "--wait", "-n", namespace, "--kubeconfig", kubeconfig}
		code <- cli.Run(ctx, args, strings.NewReader(""), out, out, func(string) string { return "" })
	}()
	out.has(t, "promoted to develop")
	testenv.Eventually(t, patience, func() error {
		if err := p.Get(t.Context(), client.ObjectKeyFromObject(r), r); err != nil {
			return err
		}
		if actions, _, _ := unstructured.NestedSlice(r.Object, "spec", "actions"); len(actions) != 1 {
			return fmt.Errorf("%d actions are recorded: %s", len(actions), out)
		}
		return nil
	})
	ends(nil, "Running")
	p.becomes(t.Context(), t, r, "Done", 1)
	if got := <-code; got != 0 || !strings.Contains(out.String(), "\nWaits: production: it waits for an approval by sre") {
		t.Errorf("it ends with %d:\n%s", got, out)
	}
}
