package cli_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/rand"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/sengu-dev/sengu/internal/cli/local"
	"github.com/sengu-dev/sengu/internal/testenv"
)

// patience bounds what a script waits for.
const patience = time.Minute

// planes is the control plane as the scripts' own commands use it.
type planes struct {
	testing.TB
	client.Client
}

// TestPlane runs the scripts that read and write a real control plane. Each has a namespace of its own, $NS, and these
// commands: `apply FILE` makes objects, with their status; `handle APP FIELD=VALUE...` answers a sync as the controller
// does; `until COMMAND` waits until $NS holds what is asked for; `nobody` makes $KUBECONFIG that of somebody who may only read.
func TestPlane(t *testing.T) {
	bin := program(t)
	p, kubeconfig := installed(t)
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "plane"), RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			onPath(bin, env)
			env.Setenv("KUBECONFIG", kubeconfig)
			namespace := "cli-" + rand.String(8)
			env.Setenv("NS", namespace)
			return p.Create(context.Background(), &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: namespace}})
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"apply": p.apply, "handle": p.handle, "until": p.until, "nobody": p.nobody,
		},
	})
}

// installed is the control plane with the kinds of Sengu, and the kubeconfig that leads to it.
func installed(t *testing.T) (planes, string) {
	t.Helper()
	cluster := testenv.Plane(t)
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, cluster.Kubeconfig, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := local.Install(t.Context(), kubeconfig); err != nil {
		t.Fatal(err)
	}
	c, err := client.New(cluster.Config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return planes{t, c}, kubeconfig
}

// apply makes the objects of a file, with their status. $NS in it is the namespace of the script, and $AGO20H the time
// 20 hours ago: an age that stays the same for as long as a script may take.
func (p planes) apply(ts *testscript.TestScript, _ bool, args []string) {
	text := ts.ReadFile(args[0])
	text = strings.NewReplacer("$NS", ts.Getenv("NS"), "$AGO20H", time.Now().UTC().Add(-20*time.Hour).Format(time.RFC3339)).Replace(text)
	for document := range strings.SplitSeq(text, "\n---\n") {
		var u unstructured.Unstructured
		ts.Check(yaml.Unmarshal([]byte(document), &u.Object))
		p.make(ts, &u)
	}
}

func (p planes) make(ts *testscript.TestScript, u *unstructured.Unstructured) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	status := u.Object["status"]
	delete(u.Object, "status")
	if u.GetNamespace() == "" && u.GetKind() != "Namespace" {
		u.SetNamespace(ts.Getenv("NS"))
	}
	ts.Check(p.Create(ctx, u))
	ts.Setenv("UID_"+u.GetName(), string(u.GetUID()))
	if status == nil {
		return
	}
	if m, ok := status.(map[string]any); ok && u.GetAPIVersion() == "sengu.dev/v1alpha1" && m["observedGeneration"] == nil {
		m["observedGeneration"] = u.GetGeneration()
	}
	u.Object["status"] = status
	ts.Check(p.Status().Update(ctx, u))
}

func app(ts *testscript.TestScript, name string) *unstructured.Unstructured {
	var u unstructured.Unstructured
	u.SetAPIVersion("sengu.dev/v1alpha1")
	u.SetKind("App")
	u.SetNamespace(ts.Getenv("NS"))
	u.SetName(name)
	return &u
}

// handle waits until a sync of an App is asked for, and writes into its status that it was done, and what else.
func (p planes) handle(ts *testscript.TestScript, _ bool, args []string) {
	u := app(ts, args[0])
	var asked string
	p.eventually(ts, func(ctx context.Context) error {
		if err := p.Get(ctx, client.ObjectKeyFromObject(u), u); err != nil {
			return err
		}
		asked = u.GetAnnotations()["sengu.dev/sync"]
		handled, _, _ := unstructured.NestedString(u.Object, "status", "handledSync")
		if asked == "" || asked == handled {
			return errors.New("no sync has been asked for")
		}
		return nil
	})
	status := map[string]any{"handledSync": asked, "observedGeneration": u.GetGeneration()}
	for _, field := range args[1:] {
		key, value, _ := strings.Cut(field, "=")
		status[key] = value
		if key == "why" {
			status[key] = map[string]any{"message": value, "since": time.Now().UTC().Format(time.RFC3339)}
		}
		if value == "" {
			status[key] = nil
		}
	}
	patch, err := yaml.Marshal(map[string]any{"status": status})
	ts.Check(err)
	data, err := yaml.YAMLToJSON(patch)
	ts.Check(err)
	ts.Check(p.Status().Patch(context.Background(), u, client.RawPatch(types.MergePatchType, data)))
}

// action is nil if the last action of a Release has this verb, environment and reason, and says who.
func (p planes) action(ctx context.Context, ts *testscript.TestScript, release string, want []string) error {
	u := app(ts, release)
	u.SetKind("Release")
	if err := p.Get(ctx, client.ObjectKeyFromObject(u), u); err != nil {
		return err
	}
	actions, _, err := unstructured.NestedSlice(u.Object, "spec", "actions")
	if err != nil || len(actions) == 0 {
		return fmt.Errorf("%s has no actions: %w", release, err)
	}
	last, _ := actions[len(actions)-1].(map[string]any)
	for i, field := range []string{"verb", "environment", "reason"} {
		if got, _ := last[field].(string); got != want[i] {
			return fmt.Errorf("%s of the last action is %q", field, got)
		}
	}
	if last["by"] == nil || last["at"] == nil {
		return fmt.Errorf("the last action does not say who and when: %v", last)
	}
	return nil
}

// nobody makes $KUBECONFIG that of a service account that may read Sengu's objects and do nothing.
func (p planes) nobody(ts *testscript.TestScript, _ bool, _ []string) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	namespace := ts.Getenv("NS")
	meta := metav1.ObjectMeta{Namespace: namespace, Name: "nobody"}
	account := &corev1.ServiceAccount{ObjectMeta: meta}
	ts.Check(p.Create(ctx, account))
	ts.Check(p.Create(ctx, &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{
		{APIGroups: []string{"sengu.dev"}, Resources: []string{"*"}, Verbs: []string{"get", "list", "watch"}},
	}}))
	ts.Check(p.Create(ctx, &rbacv1.RoleBinding{
		ObjectMeta: meta, RoleRef: rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "nobody"},
		Subjects: []rbacv1.Subject{{Kind: "ServiceAccount", Namespace: namespace, Name: "nobody"}},
	}))
	token := &authenticationv1.TokenRequest{}
	ts.Check(p.SubResource("token").Create(ctx, account, token))
	config, err := clientcmd.LoadFromFile(ts.Getenv("KUBECONFIG"))
	ts.Check(err)
	for name := range config.AuthInfos {
		config.AuthInfos[name] = &clientcmdapi.AuthInfo{Token: token.Status.Token}
	}
	path := filepath.Join(ts.Getenv("WORK"), "nobody")
	ts.Check(clientcmd.WriteToFile(*config, path))
	ts.Setenv("KUBECONFIG", path)
}

// until waits: `until pods N` for N running Pods, `until annotation APP KEY VALUE` for an annotation, `until action
// RELEASE VERB ENVIRONMENT REASON` for what a person did.
func (p planes) until(ts *testscript.TestScript, _ bool, args []string) {
	p.eventually(ts, func(ctx context.Context) error {
		switch args[0] {
		case "pods":
			var pods corev1.PodList
			if err := p.List(ctx, &pods, client.InNamespace(ts.Getenv("NS"))); err != nil {
				return err
			}
			running := ""
			for _, pod := range pods.Items {
				if pod.Status.Phase == corev1.PodRunning {
					running += "I"
				}
			}
			if running != args[1] {
				return errors.New("Pods that run: " + running)
			}
			return nil
		case "action":
			return p.action(ctx, ts, args[1], args[2:])
		case "annotation":
			u := app(ts, args[1])
			if err := p.Get(ctx, client.ObjectKeyFromObject(u), u); err != nil {
				return err
			}
			if got := u.GetAnnotations()[args[2]]; got != args[3] {
				return errors.New("the annotation is " + got)
			}
			return nil
		}
		return errors.New("until does not know " + args[0])
	})
}

func (p planes) eventually(ts *testscript.TestScript, check func(context.Context) error) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		err := check(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			ts.Fatalf("not within %s: %v", patience, err)
		case <-tick.C:
		}
	}
}
