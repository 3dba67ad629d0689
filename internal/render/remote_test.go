package render

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/registry"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	ocr "github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/static"
	"github.com/google/go-containerregistry/pkg/v1/types"
)

// packChart packs a chart of the fixtures as `helm package` does.
func packChart(t testing.TB, dir string) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	err := filepath.WalkDir(dir, func(p string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		in, err := filepath.Rel(dir, p)
		if err != nil {
			return err
		}
		if err := w.WriteHeader(&tar.Header{Name: filepath.Base(dir) + "/" + in, Mode: 0o644, Size: int64(len(data))}); err != nil {
			return err
		}
		_, err = w.Write(data)
		return err
	})
	for _, f := range []func() error{w.Close, z.Close} {
		if cerr := f(); err == nil {
			err = cerr
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func sha(data []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(data)) }

// chartServer is a chart repository that wants a password, and counts what is asked of it.
type chartServer struct {
	*httptest.Server
	archive []byte
	mu      sync.Mutex
	asked   []string
}

const indexOf = `apiVersion: v1
entries:
  store:
  - {name: store, version: 0.5.0-rc.1, apiVersion: v2, urls: [store-0.5.0-rc.1.tgz]}
  - {name: store, version: 0.4.0, apiVersion: v2, urls: [store-0.4.0.tgz], digest: %s}
  - {name: store, version: 0.3.0, apiVersion: v2, urls: [gone.tgz]}
  moved:
  - {name: moved, version: 1.0.0, apiVersion: v2, urls: [moved.tgz]}
  elsewhere:
  - {name: elsewhere, version: 1.0.0, apiVersion: v2, urls: ["https://other.example.com/a.tgz"]}
  wrong:
  - {name: wrong, version: 1.0.0, apiVersion: v2, urls: [store-0.4.0.tgz], digest: %064d}
`

// newChartServer starts two servers. Their writes may fail: a client hangs up on what is too large.
func newChartServer(t *testing.T) *chartServer {
	t.Helper()
	s := &chartServer{archive: packChart(t, fixtures+"/charts/store")}
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		s.note("other " + q.URL.Path + " " + q.Header.Get("Authorization"))
		_, _ = w.Write(s.archive)
	}))
	t.Cleanup(other.Close)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		s.note(q.URL.Path)
		if _, password, _ := q.BasicAuth(); password != planted {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		switch q.URL.Path {
		case "/charts/index.yaml":
			_, _ = fmt.Fprintf(w, indexOf, strings.TrimPrefix(sha(s.archive), "sha256:"), 0)
		case "/charts/store-0.4.0.tgz":
			_, _ = w.Write(s.archive)
		case "/charts/moved.tgz":
			http.Redirect(w, q, other.URL+"/archive", http.StatusFound)
		case "/charts/cm.yaml":
			_, _ = w.Write([]byte(cm("fetched")))
		case "/charts/huge.yaml":
			_, _ = w.Write(bytes.Repeat([]byte("# comment\n"), 1<<20))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func (s *chartServer) note(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked = append(s.asked, what)
}

func (s *chartServer) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.asked)
}

func (s *chartServer) policy() RemotePolicy {
	return RemotePolicy{Allow: []RemoteSource{{Prefix: s.URL + "/charts", Username: "sengu", Password: planted}}}
}

func TestChartFromHTTP(t *testing.T) {
	s, dir := newChartServer(t), t.TempDir()
	src := openDir(t, fixtures)
	local := mustRender(t, newRenderer(t), Request{Source: src, Path: "charts/store", Release: "rel", ValuesFiles: []string{"store/values-production.yaml"}})
	withCache := func(o *Options) { o.CacheDir, o.CacheKey = dir, testKey }
	q := Request{Source: src, Path: "store", Release: "rel", ValuesFiles: []string{"store/values-production.yaml"}, Remote: s.policy()}
	for _, version := range []string{"0.4.0", ">=0.1.0", ""} {
		q.Chart = &ChartRef{Repository: s.URL + "/charts", Name: "store", Version: version}
		res := mustRender(t, newRenderer(t), q)
		if diff := cmp.Diff(byRef(local.All()), byRef(res.All())); diff != "" {
			t.Errorf("%s: %s", version, diff)
		}
		if !strings.Contains(strings.Join(res.ReadSet.Paths(), " "), "@"+sha(s.archive)) {
			t.Errorf("no digest in the read-set: %v", res.ReadSet.Paths())
		}
	}
	// With a disk the network is needed once, also for other values.
	q.Chart = &ChartRef{Repository: s.URL + "/charts", Name: "store", Version: "0.4.0", Digest: sha(s.archive)}
	mustRender(t, newRenderer(t, withCache), q)
	before := s.count()
	if !mustRender(t, newRenderer(t, withCache), q).Cached {
		t.Error("not cached")
	}
	q.Values = map[string]any{"replicas": 8}
	if mustRender(t, newRenderer(t, withCache), q).Cached || s.count() != before {
		t.Errorf("fetched again: %v", s.asked[before:])
	}
}

// TestFetchedIsForWhoMayRead has two Fleets name one chart, of which one may not read it: what the other has fetched and
// rendered is not for it, neither the chart nor the objects.
func TestFetchedIsForWhoMayRead(t *testing.T) {
	s, dir := newChartServer(t), t.TempDir()
	r := newRenderer(t, func(o *Options) { o.CacheDir, o.CacheKey = dir, testKey })
	q := Request{Source: openDir(t, fixtures), Path: "store", Release: "rel", ValuesFiles: []string{"store/values-production.yaml"}, Remote: s.policy()}
	q.Chart = &ChartRef{Repository: s.URL + "/charts", Name: "store", Version: "0.4.0", Digest: sha(s.archive)}
	mustRender(t, r, q)
	for name, change := range map[string]func(*RemoteSource){
		"no credential":      func(s *RemoteSource) { s.Username, s.Password = "", "" },
		"another credential": func(s *RemoteSource) { s.Password = "guessed" },
		"a token":            func(s *RemoteSource) { s.Username, s.Password, s.Token = "", "", planted },
	} {
		for _, values := range []map[string]any{nil, {"replicas": 8}} {
			q := q
			q.Remote, q.Values = s.policy(), values
			change(&q.Remote.Allow[0])
			_, err := r.Render(t.Context(), q)
			if err == nil || !strings.Contains(err.Error(), "wants a credential, or another one") {
				t.Errorf("%s, values %v: got %v, want a refusal", name, values, err)
			}
		}
	}
	if !mustRender(t, r, q).Cached {
		t.Error("it is not kept for who may read it")
	}
}

func TestRemoteRefusals(t *testing.T) {
	s := newChartServer(t)
	u, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	chart := func(name, version, digest string) func(*Request) {
		return func(q *Request) {
			q.Chart = &ChartRef{Repository: s.URL + "/charts", Name: name, Version: version, Digest: digest}
		}
	}
	tests := map[string]struct {
		change    func(*Request)
		want      []string
		temporary bool
	}{
		"not allowed":       {func(q *Request) { chart("store", "0.4.0", "")(q); q.Remote = RemotePolicy{} }, []string{s.URL, "not allowed", "Fleet"}, false},
		"beside the prefix": {func(q *Request) { chart("store", "", "")(q); q.Chart.Repository = s.URL + "/charts-private" }, []string{"not allowed"}, false},
		"dots":              {func(q *Request) { chart("store", "", "")(q); q.Chart.Repository = s.URL + "/charts/../secret" }, []string{"not allowed"}, false},
		"wrong digest":      {chart("store", "0.4.0", "sha256:"+strings.Repeat("0", 64)), []string{"digest", "replaced"}, false},
		"wrong in index":    {chart("wrong", "1.0.0", ""), []string{"digest", "replaced"}, false},
		"no such chart":     {chart("nothing", "", ""), []string{"has no chart nothing"}, false},
		"no such version":   {chart("store", "9.9.9", ""), []string{"9.9.9"}, false},
		"archive gone":      {chart("store", "0.3.0", ""), []string{"gone.tgz", "not there"}, true},
		"archive elsewhere": {chart("elsewhere", "", ""), []string{"https://other.example.com/a.tgz", "not allowed"}, false},
		"no credential":     {func(q *Request) { chart("store", "", "")(q); q.Remote.Allow[0].Password = "" }, []string{"credential"}, true},
		"link-local": {func(q *Request) {
			chart("store", "", "")(q)
			q.Chart.Repository = "http://169.254.169.254/latest"
			q.Remote.Allow[0].Prefix = "http://169.254.169.254"
		}, []string{"169.254.169.254", "not public"}, false},
		"down": {func(q *Request) {
			chart("store", "", "")(q)
			q.Chart.Repository = "http://" + u.Hostname() + ":1/charts"
			q.Remote.Allow[0].Prefix = "http://" + u.Hostname() + ":1"
		}, []string{"cannot be reached"}, true},
		"file too large": {func(q *Request) { q.Path = "huge" }, []string{"huge.yaml", "larger than"}, false},
		"file not there": {func(q *Request) { q.Path = "gone" }, []string{"gone/kustomization.yaml:1", "not there"}, true},
	}
	kustomization := func(file string) string { return "resources: [\"" + s.URL + "/charts/" + file + "\"]\n" }
	src := writeTree(t, map[string]string{"app/x": "", "huge/kustomization.yaml": kustomization("huge.yaml"), "gone/kustomization.yaml": kustomization("nothing.yaml")})
	r := newRenderer(t)
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			q := Request{Source: src, Path: "app", Remote: s.policy()}
			test.change(&q)
			_, err := r.Render(context.Background(), q)
			var e *Error
			if !errors.As(err, &e) {
				t.Fatalf("got %v, want an *Error", err)
			}
			t.Log(e.Sentence)
			checkSentence(t, e.Sentence, test.want...)
			if e.Temporary != test.temporary {
				t.Errorf("temporary %t, want %t", e.Temporary, test.temporary)
			}
		})
	}
}

// TestRedirect follows to another host without the password, and only when its address may be talked to.
func TestRedirect(t *testing.T) {
	s := newChartServer(t)
	q := Request{Source: openDir(t, fixtures), Path: "store", Remote: s.policy(), Chart: &ChartRef{Repository: s.URL + "/charts", Name: "moved"}}
	mustRender(t, newRenderer(t), q)
	found := false
	for _, a := range s.asked {
		if strings.HasPrefix(a, "other ") {
			found = true
			if a != "other /archive " {
				t.Errorf("the other host got %q", a)
			}
		}
	}
	if !found {
		t.Error("the redirect was not followed")
	}
}

func TestChartFromOCI(t *testing.T) {
	reg := httptest.NewServer(registry.New(registry.Logger(log.New(io.Discard, "", 0))))
	t.Cleanup(reg.Close)
	host := strings.TrimPrefix(reg.URL, "http://")
	archive := packChart(t, fixtures+"/charts/store")
	layer := static.NewLayer(archive, "application/vnd.cncf.helm.chart.content.v1.tar+gzip")
	img, err := mutate.Append(mutate.ConfigMediaType(mutate.MediaType(empty.Image, types.OCIManifestSchema1), "application/vnd.cncf.helm.config.v1+json"), mutate.Addendum{Layer: layer})
	if err != nil {
		t.Fatal(err)
	}
	for _, tag := range []string{"0.4.0", "0.5.0-rc.1"} {
		ref, err := name.ParseReference(host+"/charts/store:"+tag, name.Insecure)
		if err != nil {
			t.Fatal(err)
		}
		if err := ocr.Write(ref, img); err != nil {
			t.Fatal(err)
		}
	}
	manifest, err := img.Digest()
	if err != nil {
		t.Fatal(err)
	}
	src := openDir(t, fixtures)
	r := newRenderer(t)
	local := mustRender(t, r, Request{Source: src, Path: "charts/store", Release: "rel"})
	policy := RemotePolicy{Allow: []RemoteSource{{Prefix: "oci://" + host + "/charts", PlainHTTP: true}}}
	for _, c := range []ChartRef{
		{Repository: "oci://" + host + "/charts", Name: "store", Version: "0.4.0"},
		{Repository: "oci://" + host + "/charts/store", Version: "^0.4"},
		{Repository: "oci://" + host + "/charts/store", Version: "0.4.0", Digest: manifest.String()},
		{Repository: "oci://" + host + "/charts/store", Version: "0.4.0", Digest: sha(archive)},
		{Repository: "oci://" + host + "/charts/store", Version: manifest.String()},
	} {
		res := mustRender(t, r, Request{Source: src, Path: "store", Release: "rel", Chart: &c, Remote: policy})
		if diff := cmp.Diff(byRef(local.All()), byRef(res.All())); diff != "" {
			t.Errorf("%v: %s", c, diff)
		}
	}
	for want, c := range map[string]ChartRef{
		"replaced":    {Repository: "oci://" + host + "/charts", Name: "store", Version: "0.4.0", Digest: "sha256:" + strings.Repeat("1", 64)},
		"not there":   {Repository: "oci://" + host + "/charts", Name: "store", Version: "7.0.0"},
		"not allowed": {Repository: "oci://" + host + "/other", Name: "store", Version: "0.4.0"},
		"fits ^9":     {Repository: "oci://" + host + "/charts", Name: "store", Version: "^9"},
	} {
		_, err := r.Render(context.Background(), Request{Source: src, Path: "store", Chart: &c, Remote: policy})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: got %v, want %q", c, err, want)
		}
	}
}

// TestRemoteInKustomization uses a chart, a file and a base from outside of the repository.
func TestRemoteInKustomization(t *testing.T) {
	s := newChartServer(t)
	other := writeTree(t, map[string]string{
		"deploy/overlay/kustomization.yaml": "resources: [../base]\n", "deploy/base/kustomization.yaml": "resources: [cm.yaml]\n", "deploy/base/cm.yaml": cm("base"),
	})
	src := writeTree(t, map[string]string{
		"apps/a/kustomization.yaml": `namePrefix: x-
resources:
- "` + s.URL + `/charts/cm.yaml"
- "https://git.example.com/org/repo//deploy/overlay?ref=v1.2.3"
- local.yaml
helmCharts:
- {name: store, repo: "` + s.URL + `/charts", version: 0.4.0, releaseName: rel}
`,
		"apps/a/local.yaml":        cm("local"),
		"noref/kustomization.yaml": "resources: [\"https://git.example.com/org/repo//deploy\"]\n",
	})
	var opened []string
	r := newRenderer(t, func(o *Options) {
		o.Git = func(_ context.Context, url, ref string) (Source, string, error) {
			opened = append(opened, url+" "+ref)
			return other, strings.Repeat("c", 40), nil
		}
	})
	policy := s.policy()
	policy.Allow = append(policy.Allow, RemoteSource{Prefix: "https://git.example.com/org"})
	res := mustRender(t, r, Request{Source: src, Path: "apps/a", Remote: policy})
	got := byRef(res.All())
	for _, want := range []string{"ConfigMap x-fetched", "ConfigMap x-base", "ConfigMap x-local", "Secret x-rel-store"} {
		if got[want] == nil {
			t.Errorf("no %s", want)
		}
	}
	if diff := cmp.Diff([]string{"https://git.example.com/org/repo v1.2.3"}, opened); diff != "" {
		t.Error(diff)
	}
	paths := strings.Join(res.ReadSet.Paths(), "\n")
	for _, want := range []string{"apps/a", "remote:git:https://git.example.com/org/repo?ref=v1.2.3@cccc", "cm.yaml@sha256:", "store 0.4.0@" + sha(s.archive)} {
		if !strings.Contains(paths, want) {
			t.Errorf("%q is not in the read-set:\n%s", want, paths)
		}
	}
	if strings.Contains(paths, mountRoot) {
		t.Errorf("the read-set has a path that is not in the repository:\n%s", paths)
	}
	_, err := r.Render(context.Background(), Request{Source: src, Path: "noref", Remote: policy})
	if err == nil || !strings.Contains(err.Error(), "?ref=") {
		t.Errorf("without ref: %v", err)
	}
}
