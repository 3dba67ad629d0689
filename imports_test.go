package sengu_test

import (
	"os/exec"
	"path"
	"strings"
	"testing"
)

const module = "github.com/sengu-dev/sengu/"

// layers lists, from the bottom up, what a package may stand on: everything of the layers before its own, and within
// its own what the reason allows.
var layers = []struct {
	name     string
	packages []string
	// inside names packages of the layer that the others of it may import.
	inside []string
	reason string
}{
	{"api", []string{"api/v1alpha1", "api/crds"}, nil, "the API is data and stands on nothing of ours"},
	{
		"decisions", []string{
			"internal/manifest", "internal/health", "internal/delivery", "internal/layout", "internal/calendar", "internal/history",
			"internal/release", "internal/image", "internal/hook", "internal/markdown", "internal/edit", "internal/standing",
		},
		[]string{"internal/manifest", "internal/health", "internal/history"}, "decisions are pure, and share only the words of manifest and history and the rules of health",
	},
	{
		"effects", []string{
			"internal/gitrepo", "internal/render", "internal/apply", "internal/drift", "internal/kube", "internal/job", "internal/probe",
			"internal/registry", "internal/forge", "internal/notify", "internal/sqlstore",
		},
		[]string{"internal/kube"}, "each effect talks to one thing in the world; they stand on kube and never import each other",
	},
	{
		"controller", []string{"internal/controller"},
		[]string{"internal/controller/target", "internal/controller/handover", "internal/controller/origin", "internal/controller/record", "internal/controller/wake", "internal/controller/scribe", "internal/controller/act"}, "controllers never import each other, only what they share",
	},
	{"server", []string{"internal/server"}, nil, "the composition root"},
	{"cli", []string{"internal/cli"}, nil, "the verbs"},
	{"cmd", []string{"cmd/sengu", "bench", "test/e2e"}, nil, "programs"},
}

// impure are packages that a decision has no business with: whoever needs them is an effect.
var impure = []string{"net", "net/http", "os", "os/exec", "io/ioutil", "k8s.io/client-go/", "sigs.k8s.io/controller-runtime"}

func TestImportsGoDownwardOnly(t *testing.T) {
	for pkg, imports := range packages(t) {
		at := layerOf(pkg)
		if at < 0 {
			if !strings.HasPrefix(pkg, "internal/testenv") {
				t.Errorf("package %s is in no layer: add it to the list in this test, where it belongs", pkg)
			}
			continue
		}
		for _, imported := range imports {
			checkImport(t, pkg, at, imported)
		}
	}
}

func checkImport(t *testing.T, pkg string, at int, imported string) {
	t.Helper()
	layer := layers[at]
	ours, isOurs := strings.CutPrefix(imported, module)
	if !isOurs {
		if layer.name == "api" || layer.name == "decisions" {
			for _, bad := range impure {
				if imported == bad || strings.HasSuffix(bad, "/") && strings.HasPrefix(imported, bad) {
					t.Errorf("%s imports %s: %s", pkg, imported, layer.reason)
				}
			}
		}
		return
	}
	to := layerOf(ours)
	switch {
	case to < 0 || to < at:
	case to > at:
		t.Errorf("%s (%s) imports %s (%s), which is above it: imports go downward only", pkg, layer.name, ours, layers[to].name)
	case sameUnit(layer.name, pkg, ours):
	default:
		for _, allowed := range layer.inside {
			if ours == allowed {
				return
			}
		}
		t.Errorf("%s imports %s: %s", pkg, ours, layer.reason)
	}
}

// sameUnit reports whether two packages of one layer are one thing: a package and what lies below it.
func sameUnit(layer, a, b string) bool {
	unit := func(pkg string) string {
		parts := strings.Split(pkg, "/")
		n := 2
		if layer == "controller" {
			n = 3
		}
		return path.Join(parts[:min(n, len(parts))]...)
	}
	return unit(a) == unit(b)
}

func layerOf(pkg string) int {
	for i, layer := range layers {
		for _, root := range layer.packages {
			if pkg == root || strings.HasPrefix(pkg, root+"/") {
				return i
			}
		}
	}
	return -1
}

// packages returns the imports of each package of this module, tests left out.
func packages(t *testing.T) map[string][]string {
	t.Helper()
	out, err := exec.Command("go", "list", "-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	found := map[string][]string{}
	for line := range strings.Lines(string(out)) {
		fields := strings.Fields(line)
		if pkg, below := strings.CutPrefix(fields[0], module); below {
			found[pkg] = fields[1:]
		}
	}
	if len(found) < 10 {
		t.Fatalf("only %d packages found: this test would not notice anything", len(found))
	}
	return found
}
