package e2e_test

import (
	"bytes"
	"context"
	"encoding/base64"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/rand"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// TestSecretsStaySecret delivers Secrets in every way that makes Sengu talk about them: as they should be, drifted,
// broken, refused by the API server, in conflict, compared. The end of the run looks through all that was said.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	s := newSengu(t, onlyDev, noSelfHeal)
	n := 0
	plant := func() string {
		n++
		value := "pl4nted-" + rand.String(20)
		s.evidence.plant(fmt.Sprintf("value %d of a Secret in the repository", n), value)
		return value
	}
	in64 := func(value string) string { return base64.StdEncoding.EncodeToString([]byte(value)) }
	head := func(name string) string {
		return "apiVersion: v1\nkind: Secret\nmetadata:\n  name: " + name + "\n"
	}
	tree := files{}
	for name, content := range map[string]files{
		"good":       {"a.yaml": head("good") + "stringData:\n  password: " + plant() + "\n"},
		"encoded":    {"a.yaml": head("encoded") + "data:\n  password: " + in64(plant()) + "\n"},
		"generated":  {"kustomization.yaml": "secretGenerator:\n- name: generated\n  literals: [password=" + plant() + "]\n"},
		"not-base64": {"a.yaml": head("not-base64") + "data:\n  password: \"" + plant() + "!\"\n"},
		"wrong-type": {"a.yaml": head("wrong-type") + "stringData:\n  password: [" + plant() + "]\n"},
		"bad-key":    {"a.yaml": head("bad-key") + "stringData:\n  \"bad key\": " + plant() + "\n"},
		"bad-tls":    {"a.yaml": head("bad-tls") + "type: kubernetes.io/tls\nstringData:\n  tls.key: " + plant() + "\n"},
		"broken":     {"a.yaml": head("broken") + "stringData:\n  password: \"" + plant() + "\n"},
		"twice":      {"a.yaml": head("twice") + "stringData:\n  password: " + plant() + "\n  password: " + plant() + "\n"},
		"no-literal": {"kustomization.yaml": "secretGenerator:\n- name: generated\n  literals: [" + plant() + "]\n"},
		"in-values":  chart("{{ fail .Values.password }}").with(files{"values.yaml": "password: " + plant() + "\n"}),
		"delivery":   {"a.yaml": configMap("delivery", "x"), "sengu.yaml": "apiVersion: sengu.dev/v1alpha1\nkind: Delivery\nsource:\n  values: {password: " + plant() + "\n"},
		"conflict":   {"a.yaml": head("theirs") + "stringData:\n  password: " + plant() + "\n"},
		"bad-patch":  {"kustomization.yaml": "resources: [a.yaml]\npatches:\n- target: {kind: Secret}\n  patch: |-\n    - op: \"" + plant() + "\n", "a.yaml": head("bad-patch") + "stringData:\n  password: x\n"},
		"patched":    {"kustomization.yaml": "resources: [a.yaml]\npatches:\n- patch: |\n    apiVersion: v1\n    kind: Secret\n    metadata: {name: other}\n    stringData: {password: " + plant() + "}\n", "a.yaml": head("patched") + "stringData:\n  password: x\n"},
	} {
		for path, text := range content {
			tree[folder(name, "dev")+"/"+path] = text
		}
	}
	s.create(s.dev, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: s.target}})
	s.create(s.dev, &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.target, Name: "theirs"}, StringData: map[string]string{"password": plant()}})
	s.repo.commit(tree)
	good := []string{"good", "encoded", "generated"}
	s.eventually("every App has come to an end", func() error { return s.judged(good) })

	drifted := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: s.target, Name: "good"}}
	s.patch(s.dev, drifted, `{"stringData":{"password":"`+plant()+`","more":"`+plant()+`"}}`)
	s.eventually("the drift of a Secret is shown", func() error {
		if a := s.app("good", "dev"); len(a.Status.Drift) != 1 {
			return fmt.Errorf("the drift is %+v", a.Status.Drift)
		}
		return nil
	})
	s.talk(tree)
	changed := files{folder("good", "dev") + "/a.yaml": head("good") + "stringData:\n  password: " + plant() + "\n"}
	if text, err := s.cli("diff", s.repo.checkout(changed), "--fleet", fleetName); err == nil || !strings.Contains(text, "good") || !strings.Contains(text, "password") {
		t.Errorf("`sengu diff` does not show that the Secret changes: %v: %s", err, text)
	}
	s.mustNot("diff", s.repo.checkout(nil), "--all", "--fleet", fleetName) // there are broken ones
	s.synced1(s.repo.push(changed), "good")
	s.evident()
}

// talk has every verb that shows something talk about every App of a tree, be it well or broken.
func (s *sengu) talk(tree files) {
	s.Helper()
	checkout := s.repo.checkout(nil)
	refused := 0
	for service := range servicesOf(tree) {
		name := appName(service, "dev")
		for _, args := range [][]string{{"why", name}, {"why", name, "-o", "yaml"}, {"tree", name}, {"tree", name, "-o", "json"}, {"get", service}} {
			_, _ = s.cli(args...) // what they say counts, and not whether they succeed
		}
		if s.renders(filepath.Join(checkout, folder(service, "dev"))) != nil {
			refused++
		}
	}
	if refused < 5 {
		s.Errorf("`sengu render` refused only %d of the broken folders: it has said nothing to look through", refused)
	}
	for _, args := range [][]string{{"adopt", appName("conflict", "dev")}, {"sync", appName("conflict", "dev"), "--timeout", "1s"}} {
		_, _ = s.cli(args...) // as above
	}
	for _, args := range [][]string{{"get"}, {"get", "-o", "yaml"}, {"get", "apps", "-o", "json"}, {"get", "fleets"}, {"get", "clusters"}} {
		s.must(args...)
	}
}

// renders renders a folder, and keeps what is said as evidence. What `sengu render` prints when it succeeds is what is in
// the files, and no evidence.
func (s *sengu) renders(folder string) error {
	s.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var printed, told bytes.Buffer
	cmd := exec.CommandContext(ctx, s.binary, "render", folder)
	cmd.Stdout, cmd.Stderr = &printed, &told
	err := cmd.Run()
	text := told.String()
	if err != nil {
		text += printed.String()
	}
	s.keep(text, "render", folder)
	return err
}

// evident fails the test if any of the ways in which Sengu talks is not among the evidence.
func (s *sengu) evident() {
	s.Helper()
	for kind, words := range map[string][]string{
		"log":     {`msg=`},
		"objects": {`"inputsDigest":"`, `"reportingController":"`, `"conditions":[`},
		"cli":     {"$ sengu [diff ", "$ sengu [render ", "$ sengu [why ", "$ sengu [tree ", "$ sengu [get ", "$ sengu [adopt ", "$ sengu [sync "},
	} {
		data, err := os.ReadFile(filepath.Join(s.evidence.dir, s.Name()+"-"+s.namespace+"."+kind))
		if err != nil {
			s.Fatal(err)
		}
		for _, word := range words {
			if !bytes.Contains(data, []byte(word)) {
				s.Errorf("the evidence of kind %s holds no %q: the search for secrets does not look through it", kind, word)
			}
		}
	}
}

// mustNot runs a verb that has to fail, and to say why.
func (s *sengu) mustNot(args ...string) {
	s.Helper()
	if text, err := s.cli(args...); err == nil || text == "" {
		s.Errorf("sengu %v succeeded: %s", args, text)
	}
}

// judged is nil once the Apps of good are synced, and all others say why they are not.
func (s *sengu) judged(good []string) error {
	apps, err := s.apps()
	if err != nil || len(apps) == 0 {
		return fmt.Errorf("there are %d Apps: %w", len(apps), err)
	}
	for i := range apps {
		a := &apps[i]
		synced := notSynced(a)
		expected := false
		for _, service := range good {
			expected = expected || a.Spec.Service == service
		}
		switch {
		case expected && synced != nil:
			return synced
		case !expected && (a.Status.Why == nil || a.Status.ObservedGeneration != a.Generation):
			return fmt.Errorf("App %s says nothing", a.Name)
		case !expected && a.Status.Sync == v1alpha1.Synced:
			return fmt.Errorf("App %s is synced, and should not be", a.Name)
		}
	}
	return nil
}

// synced1 waits until one App runs what a commit says.
func (s *sengu) synced1(head, service string) {
	s.Helper()
	s.eventually("App "+service+" is synced", func() error {
		if err := s.compared(head); err != nil {
			return err
		}
		return notSynced(s.app(service, "dev"))
	})
}

// servicesOf names the services of a tree.
func servicesOf(tree files) map[string]bool {
	services := map[string]bool{}
	for path := range tree {
		if parts := strings.Split(path, "/"); len(parts) > 2 && parts[0] == "apps" {
			services[parts[1]] = true
		}
	}
	return services
}
