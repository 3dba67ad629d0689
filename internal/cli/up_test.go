package cli_test

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/sengu-dev/sengu/internal/cli/local"
)

// TestUp runs the scripts that start a local plane of their own, with all of Sengu. Their own commands are `kubectl-apply
// FILE`, which makes objects as kubectl does, `crash`, which kills what holds the local plane together, and `silent`,
// which checks that nothing listens any more.
func TestUp(t *testing.T) {
	bin := program(t)
	localplane, err := filepath.Abs(filepath.Join("..", "..", "bin", "localplane"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(localplane); err != nil {
		t.Fatal("bin/localplane is missing: run `make localplane` at the root of the repository")
	}
	testscript.Run(t, testscript.Params{
		Dir: filepath.Join("testdata", "up"), RequireExplicitExec: true,
		Setup: func(env *testscript.Env) error {
			onPath(bin, env)
			env.Setenv("SENGU_LOCALPLANE", localplane)
			env.Setenv("GIT_CONFIG_GLOBAL", filepath.Join(env.WorkDir, "gitconfig"))
			env.Defer(func() {
				ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
				defer cancel()
				if _, err := local.Dir(filepath.Join(env.WorkDir, ".sengu")).Stop(ctx); err != nil {
					t.Error(err)
				}
			})
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"kubectl-apply": kubectlApply, "crash": crash, "silent": silent,
		},
	})
}

func localDir(ts *testscript.TestScript) local.Dir {
	return local.Dir(filepath.Join(ts.Getenv("WORK"), ".sengu"))
}

func kubectlApply(ts *testscript.TestScript, _ bool, args []string) {
	config, err := clientcmd.BuildConfigFromFlags("", localDir(ts).Kubeconfig("dev"))
	ts.Check(err)
	c, err := client.New(config, client.Options{})
	ts.Check(err)
	for document := range strings.SplitSeq(ts.ReadFile(args[0]), "\n---\n") {
		var u unstructured.Unstructured
		ts.Check(yaml.Unmarshal([]byte(document), &u.Object))
		ts.Check(c.Create(context.Background(), &u, client.FieldOwner("kubectl-client-side-apply")))
	}
}

// crash kills the process that holds the local plane together, as a machine that runs out of memory does.
func crash(ts *testscript.TestScript, _ bool, _ []string) {
	pid := localDir(ts).PID()
	process, err := os.FindProcess(pid)
	ts.Check(err)
	ts.Check(process.Kill())
}

// silent checks that nothing listens where the local plane did, and that no process of it is left.
func silent(ts *testscript.TestScript, _ bool, _ []string) {
	state, err := localDir(ts).Read()
	ts.Check(err)
	if state.Git == "" || state.Server == "" {
		ts.Fatalf("the state names no addresses: %+v", state)
	}
	for _, address := range []string{state.Git, state.Server} {
		conn, err := net.DialTimeout("tcp", address, time.Second)
		if err == nil {
			_ = conn.Close()
			ts.Check(errors.New(address + " still answers"))
		}
	}
	found, err := localDir(ts).Stop(context.Background())
	ts.Check(err)
	if found {
		ts.Fatalf("a process of the local plane was left")
	}
}
