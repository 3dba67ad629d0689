package release

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/fake"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/delivery"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/gitrepo/gitrepotest"
	"github.com/sengu-dev/sengu/internal/probe"
	"github.com/sengu-dev/sengu/internal/release"
)

// planner is a Reconciler that knows one Check object.
func planner(t *testing.T, h *v1alpha1.HTTPCheck) *Reconciler {
	t.Helper()
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		t.Fatal(err)
	}
	probes, err := probe.New(probe.Options{Allow: []string{"http://127.0.0.1:8080"}})
	if err != nil {
		t.Fatal(err)
	}
	object := &v1alpha1.Check{ObjectMeta: metav1.ObjectMeta{Namespace: "sengu", Name: "ready"}, Spec: v1alpha1.CheckSpec{HTTP: h}}
	return &Reconciler{Client: fake.NewClientBuilder().WithScheme(scheme).WithObjects(object).Build(), Probes: probes}
}

// TestChecksThatAreNeverAsked closes the plan for a check that the probe would not ask, whichever way it came in.
func TestChecksThatAreNeverAsked(t *testing.T) {
	many := map[string]string{}
	for i := range 25 {
		many[fmt.Sprintf("X-%d", i)] = "v"
	}
	const address = "https://example.com"
	cases := map[string]struct {
		check v1alpha1.HTTPCheck
		want  string // of what is said after the place and the name
	}{
		"Good":          {v1alpha1.HTTPCheck{URL: "service://{service}:http/ready", Method: "GET", Body: `"ready": ?true`}, ""},
		"GoodAddress":   {v1alpha1.HTTPCheck{URL: "https://{service}.{environment}.example.com", Method: "HEAD", Status: []int32{204}}, ""},
		"Body":          {v1alpha1.HTTPCheck{URL: address, Body: "planted("}, "http.body must be a regular expression (RE2): missing closing )"},
		"HeadersMany":   {v1alpha1.HTTPCheck{URL: address, Headers: many}, "http.headers must be at most 20, of at most 8 KiB together"},
		"Reserved":      {v1alpha1.HTTPCheck{URL: address, Headers: map[string]string{"connection": "planted"}}, "http.headers must not hold Connection"},
		"NoPort":        {v1alpha1.HTTPCheck{URL: "service://planted"}, "http.url must be service://NAME:PORT/path, or service://https:NAME:PORT/path"},
		"HeadBody":      {v1alpha1.HTTPCheck{URL: address, Method: "HEAD", Body: "planted"}, "http.body cannot be matched with method HEAD, which gets none"},
		"ServiceMethod": {v1alpha1.HTTPCheck{URL: "service://web:80", Method: "OPTIONS"}, "http.method must be GET for a service:// URL: the API server is asked with nothing else"},
		"Status":        {v1alpha1.HTTPCheck{URL: address, Status: []int32{100}}, "http.status must list numbers from 200 to 599"},
		"Timeout":       {v1alpha1.HTTPCheck{URL: address, Timeout: &metav1.Duration{Duration: time.Hour}}, "http.timeout must be between 0 and 1m0s"},
		"Metadata":      {v1alpha1.HTTPCheck{URL: "http://169.254.169.254/latest"}, "http.url: its address is this machine's own, a link-local one, or one of a cloud's metadata: the operator of Sengu can allow the URL"},
		"Loopback":      {v1alpha1.HTTPCheck{URL: "http://[::1]:8080/planted"}, "http.url: its address is this machine's own"},
		"Allowed":       {v1alpha1.HTTPCheck{URL: "http://127.0.0.1:8080/ready"}, ""},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := planner(t, &tc.check)
			fleet := &v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Namespace: "sengu", Name: "shop"}}
			for told, check := range map[string]delivery.Check{
				"Check ready in namespace sengu": {Name: "ready", At: "apps/web/sengu.yaml:4"},
				"check ready":                    {Name: "ready", At: "apps/web/sengu.yaml:4", HTTP: httpOf(&tc.check)},
			} {
				does := plan{jobs: map[string]work{}, requests: map[string]delivery.HTTP{}}
				if err := r.addCheck(t.Context(), fleet, &does, check, "web", "staging", true); err != nil {
					t.Fatal(err)
				}
				switch {
				case tc.want == "" && (does.Problem != "" || len(does.requests) != 1 || len(does.Checks) != 1):
					t.Errorf("%s is refused: %+v", told, does.Plan)
				case tc.want != "" && (!strings.HasPrefix(does.Problem, "apps/web/sengu.yaml:4: "+told+": "+tc.want) || strings.Contains(does.Problem, "planted")):
					t.Errorf("got  %s\nwant %s: %s", does.Problem, told, tc.want)
				}
			}
		})
	}
}

// TestTheFirstProblemIsTold keeps the first of several, and reads on.
func TestTheFirstProblemIsTold(t *testing.T) {
	r := planner(t, &v1alpha1.HTTPCheck{URL: "service://web"})
	fleet := &v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Namespace: "sengu", Name: "shop"}}
	does := plan{jobs: map[string]work{}, requests: map[string]delivery.HTTP{}}
	for _, name := range []string{"gone", "ready"} {
		if err := r.addCheck(t.Context(), fleet, &does, delivery.Check{Name: name, At: "f:1"}, "web", "staging", true); err != nil {
			t.Fatal(err)
		}
	}
	if want := "f:1: there is no Check gone in namespace sengu: make it, or correct the name"; does.Problem != want {
		t.Errorf("got %s", does.Problem)
	}
}

// TestParserAgreesWithTheProbe holds that nothing which sengu.yaml may ask is refused later.
func TestParserAgreesWithTheProbe(t *testing.T) {
	r := planner(t, nil)
	headers := func(n int, value string) string {
		all := make([]string, n)
		for i := range all {
			all[i] = fmt.Sprintf("X-%d: %q", i, value)
		}
		return "headers: {" + strings.Join(all, ", ") + "}"
	}
	fields := []string{
		"", "method: HEAD", "method: OPTIONS", "body: 'ready('", "body: ready", "method: HEAD, body: a", "status: [100]", "status: [199]",
		"status: [200, 599]", "status: [600]", "timeout: 1m", "timeout: 61s", headers(20, "v"), headers(21, "v"), headers(8, strings.Repeat("a", 1000)), headers(9, strings.Repeat("a", 1000)),
		"headers: {Connection: close}", "headers: {te: a}", "headers: {Host: example.com:80}", "headers: {host: a/b}", "headers: {Keep-Alive: a}",
		"headers: {Content-Length: '1'}", "headers: {Expect: a}", "headers: {Proxy-Connection: a}", "headers: {Trailer: a}", "headers: {Transfer-Encoding: a}",
		"headers: {Upgrade: a}", "headers: {Proxy-Authorization: a}", "headers: {" + strings.Repeat("x", 129) + ": a}", `headers: {A: "a\tb"}`, `headers: {A: "\x7f"}`,
	}
	urls := []string{
		"https://example.com", "http://{environment}.example.com:80/{service}?a=b#c", "https://ex\u00e4mple.com", "http://[fe80::1%25eth0]/", "https://me@example.com", "service://web:80",
		"https:///x", "http:example.com", "https://a/" + strings.Repeat("x", 2038), "https://a/" + strings.Repeat("x", 2039), "https://ex%41mple.com", `https://ex"mple.com`,
	}
	taken := 0
	for i := range len(fields) + len(urls) {
		given, address := "", urls[0]
		if i < len(fields) {
			given = fields[i]
		} else {
			address = urls[i-len(fields)]
		}
		text := fmt.Sprintf("apiVersion: sengu.dev/v1alpha1\nkind: Delivery\nchecks: [{name: a, http: {url: '%s', %s}}]\n", address, given)
		d, err := delivery.Parse("apps/web/sengu.yaml", []byte(text))
		if err != nil {
			continue
		}
		taken++
		if err := r.validate(*d.For("staging").Checks[0].HTTP, "web", "staging"); err != nil {
			t.Errorf("sengu.yaml may say %s %s, and it is never asked: %v", address, given, err)
		}
	}
	if taken < 10 {
		t.Errorf("sengu.yaml may say %d of these only", taken)
	}
}

// TestPlanThatCannotBeRead has a Release whose repository cannot be read: it begins nothing and says why, what the other
// Release of its service does is known all the same, and it is tried again.
func TestPlanThatCannotBeRead(t *testing.T) {
	y := newYard(t)
	lost, known := y.brings(1, inline), y.brings(2, inline)
	lost.Spec.Environments = append(lost.Spec.Environments, v1alpha1.ReleaseEnvironment{Name: "production"})
	y.r.plans.forget(client.ObjectKeyFromObject(lost))
	world := release.Service{Now: y.clock.Now(), Fleet: y.fleet, Name: "web", Releases: []*v1alpha1.Release{lost, known}, Plans: map[release.Place]release.Plan{}}
	if again := y.r.plan(t.Context(), &world, nil); !again.Equal(y.clock.Now().Add(readAgain)) {
		t.Errorf("it is read again at %s, want in %s", again, readAgain)
	}
	if got := world.Plans[release.Place{Release: lost.Name, Environment: "staging"}]; !strings.Contains(got.Problem, "read what Releases of 0123456 do") {
		t.Errorf("what cannot be read says %q", got.Problem)
	}
	if got, is := world.Plans[release.Place{Release: known.Name, Environment: "staging"}]; !is || got.Problem != "" {
		t.Errorf("what is known is planned: %t, with %q", is, got.Problem)
	}
	if got := world.Plans[release.Place{Release: lost.Name, Environment: "production"}]; got.Problem == "" {
		t.Error("nothing keeps it from beginning in production")
	}
	world.Now, world.Plans = world.Now.Add(readAgain), map[release.Place]release.Plan{}
	if again := y.r.plan(t.Context(), &world, nil); !again.Equal(world.Now.Add(readAgain)) {
		t.Errorf("it is not tried again, and is read next at %s", again)
	}
	y.r.plans.put(client.ObjectKeyFromObject(lost), lost.Generation, y.r.plans.begin(), map[string]plan{})
	if again := y.r.plan(t.Context(), &world, nil); !again.IsZero() {
		t.Errorf("all of it is known, and it is read again at %s", again)
	}
}

// TestACheckComesWhileAPlanIsRead makes a Check after it was looked for and before the plan that lacks it is kept: the pass
// that the Check wakes reads anew, and so it does with one that is made afterwards.
func TestACheckComesWhileAPlanIsRead(t *testing.T) {
	d := newDesktop(t)
	d.put("apps/web/sengu.yaml", "apiVersion: sengu.dev/v1alpha1\nkind: Delivery\nchecks: [{name: ready}, {name: steady}]\n")
	d.git("commit", "--quiet", "-m", "checks")
	d.git("push", "--quiet", "origin", mainBranch)
	fleet := &v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Namespace: "sengu", Name: "shop"}, Spec: v1alpha1.FleetSpec{
		Git: v1alpha1.GitSource{URL: d.url, Branch: mainBranch}, Layout: "apps/{service}/{environment}", Environments: []v1alpha1.Environment{{Name: "production"}},
	}}
	one := &v1alpha1.Release{ObjectMeta: metav1.ObjectMeta{Namespace: "sengu", Name: "web", Generation: 1}, Spec: v1alpha1.ReleaseSpec{
		Fleet: "shop", Service: "web", Revision: d.git("rev-parse", "HEAD"),
		Environments: []v1alpha1.ReleaseEnvironment{{Name: "production", Path: "apps/web/production"}},
	}}
	r := planner(t, &v1alpha1.HTTPCheck{URL: "https://example.com"})
	r.Repositories = gitrepotest.Open(t, t.TempDir(), gitrepo.Options{})
	behind := r.Client.(client.WithWatch)
	if err := behind.Create(t.Context(), one.DeepCopy()); err != nil {
		t.Fatal(err)
	}
	comes := func(name string) {
		t.Helper()
		check := &v1alpha1.Check{ObjectMeta: metav1.ObjectMeta{Namespace: "sengu", Name: name}, Spec: v1alpha1.CheckSpec{HTTP: &v1alpha1.HTTPCheck{URL: "https://example.com"}}}
		if err := behind.Create(t.Context(), check); err != nil {
			t.Error(err)
		}
		if woken := r.servicesOfCheck(t.Context(), check); len(woken) != 1 {
			t.Errorf("Check %s wakes %v", name, woken)
		}
	}
	if err := behind.Delete(t.Context(), &v1alpha1.Check{ObjectMeta: metav1.ObjectMeta{Namespace: "sengu", Name: "ready"}}); err != nil {
		t.Fatal(err)
	}
	reads := 0
	r.Client = interceptor.NewClient(behind, interceptor.Funcs{Get: func(ctx context.Context, c client.WithWatch, key client.ObjectKey, obj client.Object, opts ...client.GetOption) error {
		err := c.Get(ctx, key, obj, opts...)
		if reads++; reads == 1 {
			comes("ready")
		}
		return err
	}})
	says := func(want string) {
		t.Helper()
		world := release.Service{Now: metav1.Now().Time, Fleet: fleet, Name: "web", Releases: []*v1alpha1.Release{one}, Plans: map[release.Place]release.Plan{}}
		r.plan(t.Context(), &world, nil)
		if got := world.Plans[release.Place{Release: "web", Environment: "production"}].Problem; !strings.Contains(got, want) || want == "" && got != "" {
			t.Errorf("the plan says %q, want %q", got, want)
		}
		if got := r.plans.plan(client.ObjectKeyFromObject(one), "production").Problem; !strings.Contains(got, want) {
			t.Errorf("what is done says %q, and what is decided %q", got, want)
		}
	}
	says("there is no Check ready")
	says("there is no Check steady")
	comes("steady")
	says("")
	before := reads
	says("")
	if reads != before {
		t.Error("what has not changed is read again")
	}
}

// TestAJobOfAPlanThatWasNotRead has a Job noted of which nobody knows what it is made from, as when the Git server is away
// after a restart: it is not begun, and one that may have been begun is looked for again and again. Neither has failed.
func TestAJobOfAPlanThatWasNotRead(t *testing.T) {
	y := newYard(t)
	noted, begun := y.brings(1, inline), y.brings(2, inline)
	begun.Status.Environments[0].Steps[0].Started = &metav1.Time{Time: y.clock.Now()}
	y.restart()
	if state, seen := y.look(noted); seen {
		t.Errorf("what was noted is told to be %+v", state)
	}
	y.expect("what may have been begun", begun, v1alpha1.StepRunning, "", "it could not be read yet")
	y.clock.Step(pauseFirst)
	for _, one := range []*v1alpha1.Release{noted, begun} {
		y.plans(one, inline)
		y.runs(one)
	}
}
