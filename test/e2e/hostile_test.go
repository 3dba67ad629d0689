package e2e_test

import (
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// hostile is an App that must be refused with one sentence.
type hostile struct {
	// files of the App, in its folder. A path that begins with a slash begins at the root of the repository.
	files files
	// want is what the sentence says: the file, and what is wrong.
	want []string
	// slow is true of what is stopped by a limit of time.
	slow bool
}

const chartFile = "apiVersion: v2\nname: chart\nversion: 1.0.0\n"

func chart(template string) files {
	return files{"Chart.yaml": chartFile, "templates/config.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  value: " + template + "\n"}
}

// bomb is a YAML document that grows tenfold with each line.
func bomb() string {
	var b strings.Builder
	b.WriteString("apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndata:\n  a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n")
	for i := 1; i < 12; i++ {
		fmt.Fprintf(&b, "  a%d: &a%d [%s]\n", i, i, strings.TrimSuffix(strings.Repeat(fmt.Sprintf("*a%d, ", i-1), 10), ", "))
	}
	return b.String()
}

// hostiles are by service. Where FOLDER is in a sentence, it is the folder of the App; REMOTE is an address that must not
// be talked to.
func hostiles(remote string) map[string]hostile {
	config := configMap("x", "x")
	return map[string]hostile{
		"yaml-bomb":                  {files: files{"a.yaml": bomb()}, want: []string{"FOLDER/a.yaml", "aliases"}},
		"kustomized-bomb":            {files: files{"kustomization.yaml": "resources: [a.yaml]", "a.yaml": bomb()}, want: []string{"FOLDER/a.yaml", "aliases"}},
		"huge-file":                  {files: files{"a.yaml": config, "big.yaml": strings.Repeat("# a comment of 20 B\n", 10<<20)}, want: []string{"FOLDER/big.yaml", "200 MiB"}},
		"endless-chart":              {files: chart(`{{ range $i := until 60000 }}{{ range $j := until 60000 }}{{ range $k := until 60000 }}{{ end }}{{ end }}{{ end }}`), want: []string{"FOLDER", "longer than"}, slow: true},
		"greedy-chart":               {files: chart(`{{ $l := list }}{{ range $i := until 100000 }}{{ $l = append $l (repeat 100000 (print $i)) }}{{ end }}`), want: []string{"FOLDER", "memory"}, slow: true},
		"values-outside":             {files: chart("x").with(files{"sengu.yaml": "apiVersion: sengu.dev/v1alpha1\nkind: Delivery\nsource:\n  valuesFiles: [../../../../../etc/hostname]\n"}), want: []string{"FOLDER/sengu.yaml:4", "leads out of the repository"}},
		"base-outside":               {files: files{"kustomization.yaml": "resources:\n- ../../../../../etc\n"}, want: []string{"FOLDER/kustomization.yaml", "../../../../../etc"}},
		"symlink-outside":            {files: files{"kustomization.yaml": "resources: [a.yaml]", "a.yaml": linkTo + "../../../../../../etc/passwd"}, want: []string{"FOLDER/a.yaml is a symbolic link that leads out of the repository: commit the file itself"}},
		"symlink-folder":             {files: files{"kustomization.yaml": "resources: [link]", "link": linkTo + "../../../../../../etc"}, want: []string{"FOLDER/link is a symbolic link that leads out of the repository"}},
		"symlink-values":             {files: chart("x").with(files{"values.yaml": linkTo + "../../../../../../etc/passwd"}), want: []string{"FOLDER/values.yaml is a symbolic link that leads out of the repository"}},
		"symlink-absolute":           {files: files{"b.yaml": config, "a.yaml": linkTo + "/etc/passwd"}, want: []string{"FOLDER/a.yaml is a symbolic link that leads out of the repository"}},
		"symlink-loop":               {files: files{"kustomization.yaml": "resources: [a.yaml]", "a.yaml": linkTo + "a.yaml"}, want: []string{"FOLDER/a.yaml is a symbolic link that leads in a circle"}},
		"remote-base":                {files: files{"kustomization.yaml": "resources:\n- REMOTE/a.git//base?ref=v1\n"}, want: []string{"FOLDER/kustomization.yaml", remote, "not allowed"}},
		"remote-file":                {files: files{"kustomization.yaml": "resources:\n- REMOTE/a.yaml\n"}, want: []string{"FOLDER/kustomization.yaml", remote, "not allowed"}},
		"remote-chart":               {files: files{"sengu.yaml": "apiVersion: sengu.dev/v1alpha1\nkind: Delivery\nsource:\n  chart: {repository: \"REMOTE\", name: a, version: 1.0.0}\n"}, want: []string{"FOLDER/sengu.yaml:4: source.chart.repository is " + remote, "not allowed", "spec.remotes of Fleet " + fleetName}},
		"inflated-chart":             {files: files{"kustomization.yaml": "helmCharts:\n- {name: a, repo: \"REMOTE\", version: 1.0.0}\n"}, want: []string{"FOLDER/kustomization.yaml:2", remote, "not allowed", "spec.remotes"}},
		"inflated-values":            {files: files{"kustomization.yaml": "helmCharts:\n- {name: a, valuesFile: ../../../../../etc/hostname}\n", "charts/a/Chart.yaml": chartFile}, want: []string{"FOLDER/kustomization.yaml:2", "../../../../../etc/hostname", "leads out of the repository"}},
		"lfs-pointer":                {files: files{"a.yaml": "version https://git-lfs.github.com/spec/v1\noid sha256:1\nsize 1\n"}, want: []string{"FOLDER/a.yaml is a Git LFS pointer", "git lfs migrate"}},
		"not-base64":                 {files: files{"a.yaml": config, "b.yaml": "apiVersion: v1\nkind: Secret\nmetadata: {name: x}\ndata: {password: \"plain!\"}\n"}, want: []string{"FOLDER/b.yaml:1", "Secret x", "data[\"password\"] is not base64", "stringData"}},
		"duplicate-in-kustomization": {files: files{"kustomization.yaml": "resources: [a.yaml]\nnamePrefix: x-\n", "a.yaml": config + "data:\n  a: b\n"}, want: []string{"FOLDER/a.yaml:7", "already"}},
		"duplicate-key":              {files: files{"a.yaml": config + "data:\n  a: b\n"}, want: []string{"FOLDER/a.yaml:7", "already"}},
		"duplicate-object":           {files: files{"a.yaml": config, "b.yaml": config}, want: []string{"FOLDER/b.yaml:1", "FOLDER/a.yaml:1", "ConfigMap x"}},
		"no-name":                    {files: files{"a.yaml": "apiVersion: v1\nkind: ConfigMap\nmetadata: {}\n"}, want: []string{"FOLDER/a.yaml:1", "metadata.name"}},
		"unknown-kind":               {files: files{"a.yaml": "apiVersion: example.com/v1\nkind: Torii\nmetadata: {name: x}\n"}, want: []string{"FOLDER/a.yaml", "Torii", "example.com"}},
		"unknown-field":              {files: files{"a.yaml": config, "sengu.yaml": "apiVersion: sengu.dev/v1alpha1\nkind: Delivery\nsorce: {}\n"}, want: []string{"FOLDER/sengu.yaml:3", "sorce", "source"}},
	}
}

// TestHostileRepository pushes every bad input at once, and a good App among them, which must hardly notice.
func TestHostileRepository(t *testing.T) {
	t.Parallel()
	remote, contacts := trap(t)
	s := newSengu(t, onlyDev)
	s.synced(s.repo.commit(fourObjects(folder("healthy", "dev"), "healthy", "zero")), 1)
	tests := hostiles(remote)
	tree := files{folder("healthy", "dev") + "/config.yaml": configMap("healthy", "one")}
	for name, test := range tests {
		for path, content := range test.files {
			tree[folder(name, "dev")+"/"+path] = strings.ReplaceAll(content, "REMOTE", remote)
		}
	}
	head := s.repo.commit(tree)
	s.eventuallyHolds(head, "healthy", "one")
	first := time.Now()
	// While the slow ones are still at it, the healthy App gets its next commits.
	for i := range 3 {
		value := fmt.Sprintf("again %d", i)
		began := time.Now()
		s.repo.commit(files{folder("healthy", "dev") + "/config.yaml": configMap("healthy", value)})
		s.within(30*time.Second, "the healthy App is not held up", func() error { return s.holds(s.dev, "healthy", value) })
		t.Logf("the healthy App got its commit %s after the push", time.Since(began).Round(time.Millisecond))
	}
	// One that never ends is stopped by its time limit twice, when it is compared and when it is delivered.
	s.within(3*patience, "every hostile App says what is wrong with it", func() error {
		var errs []error
		for name, test := range tests {
			errs = append(errs, s.refused(name, test.want))
		}
		return errors.Join(errs...)
	})
	t.Logf("every App has said what is wrong with it %s after the first commit", time.Since(first).Round(time.Second))
	if n := contacts.Load(); n > 0 {
		t.Errorf("a remote that is not allowed was talked to %d times", n)
	}
	if got := s.uids(s.dev); len(got) != 4 {
		t.Errorf("something of a hostile App was applied: %v", got)
	}
	// What is put right works, and nothing of before stays.
	mended := files{}
	var names []string
	for name, test := range tests {
		if !test.slow {
			mended["apps/"+name] = gone
			mended[folder(name, "dev")+"/a.yaml"] = configMap(name, "mended")
			names = append(names, name)
		}
	}
	s.repo.commit(mended)
	for _, name := range names {
		s.eventually("App "+name+" is mended", func() error { return s.holds(s.dev, name, "mended") })
	}
}

// refused is nil if the Release of a service says, in one sentence that holds all words, why its files are not applied.
func (s *sengu) refused(service string, words []string) error {
	r := s.release(service, "") // one that is slow may have been compared with a later commit
	if r == nil {
		return fmt.Errorf("there is no Release of %s", service)
	}
	is := at(r, "dev")
	text := why(is.Why)
	if a := s.app(service, "dev"); is.Stage != v1alpha1.StageFailed || a.Status.Revision != "" {
		return fmt.Errorf("Release %s was not refused: it is %s, and %q runs: %s", r.Name, is.Stage, a.Status.Revision, text)
	}
	for _, word := range words {
		if word = strings.ReplaceAll(word, "FOLDER", folder(service, "dev")); !strings.Contains(text, word) {
			return fmt.Errorf("%q does not say %q", text, word)
		}
	}
	if strings.Contains(text, "\n") || len(text) > 500 || strings.Contains(text, s.data) {
		return fmt.Errorf("%q is not one clear sentence", text)
	}
	return nil
}

// trap is an address that counts who comes.
func trap(t *testing.T) (string, *atomic.Int32) {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.Close() })
	contacts := &atomic.Int32{}
	go func() {
		for {
			conn, err := socket.Accept()
			if err != nil {
				return
			}
			contacts.Add(1)
			_ = conn.Close()
		}
	}()
	return "http://" + socket.Addr().String(), contacts
}

// TestHalfWrittenCommit breaks 5 of 100 Apps in the commit that changes all: 95 go on, and 5 say the file and the line.
func TestHalfWrittenCommit(t *testing.T) {
	t.Parallel()
	const apps, broken = 100, 5
	s := newSengu(t, onlyDev)
	name := func(i int) string { return fmt.Sprintf("web%02d", i) }
	state := func(value string) files {
		tree := files{}
		for i := range apps {
			tree[folder(name(i), "dev")+"/config.yaml"] = configMap(name(i), value)
		}
		return tree
	}
	first := s.repo.commit(state("one"))
	s.synced(first, apps)
	half := state("two")
	faults := []struct{ text, line string }{
		{configMap("x", "two") + "  : :\n  - [\n", ":"},
		{"apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: \"x\n", ":"},
		{configMap("x", "two") + "data: {}\n", ":7"},
		{"apiVersion: v1\nkind: ConfigMap\nmetadata:\n\tname: x\n", ":4"},
		{configMap("x", "two") + "---\napiVersion: v1\nkind: ConfigMap\n", ":8"},
	}
	for i, fault := range faults[:broken] {
		half[folder(name(i*20), "dev")+"/config.yaml"] = fault.text
	}
	head := s.repo.commit(half)
	s.eventually("95 Apps go on", func() error {
		if err := s.compared(head); err != nil {
			return err
		}
		all, err := s.apps()
		done := 0
		for i := range all {
			if all[i].Status.Revision == head && notSynced(&all[i]) == nil {
				done++
			}
		}
		if done != apps-broken {
			return fmt.Errorf("%d are synced", done)
		}
		return err
	})
	for i, fault := range faults[:broken] {
		service := name(i * 20)
		s.eventually("App "+service+" says the file and the line", func() error {
			a, r := s.app(service, "dev"), s.release(service, head)
			if r == nil {
				return fmt.Errorf("there is no Release of %s", service)
			}
			if text := why(r.Status.Why); a.Status.Revision != first || !strings.Contains(text, folder(service, "dev")+"/config.yaml"+fault.line) ||
				!slices.ContainsFunc([]rune("0123456789"), func(r rune) bool { return strings.Contains(text, "config.yaml:"+string(r)) }) {
				return fmt.Errorf("at %.7s it says %q", a.Status.Revision, text)
			}
			return nil
		})
		if err := s.holds(s.dev, service, "one"); err != nil {
			t.Errorf("what ran is disturbed: %v", err)
		}
	}
	s.synced(s.repo.commit(state("three")), apps)
}
