package delivery

import (
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestParseRefusesSteps holds what is wrong with images, steps, checks and times. Each case is what comes after the first
// two lines of a file, and what the error says about it after the name of the file.
func TestParseRefusesSteps(t *testing.T) {
	const image = "images:\n- name: a\n  repository: ghcr.io/shop/a\n"
	http := func(fields string) string {
		return "checks: [{name: a, http: {url: 'https://example.com', " + fields + "}}]"
	}
	deep := strings.Repeat("x", maxPattern+1)
	many := ""
	for i := range 21 {
		many += "X-" + strings.Repeat("a", i+1) + ": planted, "
	}
	cases := map[string]struct{ given, want string }{
		"ImageName":       {"images: [{repository: ghcr.io/shop/a, track: {newest: true}}]", "3: images[0].name is missing"},
		"ImageEmpty":      {"images: [~]", "3: images[0] is empty"},
		"ImageTag":        {"images: [{name: 'planted it', repository: ghcr.io/shop/a, track: {newest: true}}]", "3: images[0].name must be the name of an image, without a tag and without spaces"},
		"ImageTwice":      {image + "  track: {newest: true}\n- {name: a, repository: ghcr.io/b, track: {newest: true}}", "7: images[1] has the name of the entry in line 4: names are unique, so that an environment can replace an entry"},
		"NoRepository":    {"images: [{name: a, track: {newest: true}}]", "3: images[0] needs a repository, such as registry.example.com/shop/checkout"},
		"RepoScheme":      {"images: [{name: a, repository: 'oci://ghcr.io/planted', track: {newest: true}}]", "3: images[0].repository must be without oci:// or https:// in front, such as registry.example.com/shop/checkout"},
		"RepoTag":         {"images: [{name: a, repository: 'ghcr.io/shop/a:planted', track: {newest: true}}]", "3: images[0].repository must be without a tag or a digest: track says which tag is followed"},
		"RepoRegistry":    {"images: [{name: a, repository: shop/planted, track: {newest: true}}]", "3: images[0].repository must begin with the registry, such as registry.example.com/shop/checkout (docker.io for Docker Hub)"},
		"RepoName":        {"images: [{name: a, repository: planted.example.com, track: {newest: true}}]", "3: images[0].repository must begin with the registry, such as registry.example.com/shop/checkout (docker.io for Docker Hub)"},
		"RepoCase":        {"images: [{name: a, repository: ghcr.io/Planted, track: {newest: true}}]", "3: images[0].repository must be a registry and a path of lower-case letters, such as registry.example.com/shop/checkout"},
		"NoTrack":         {image, `4: images[0].track needs exactly one of semver, newest, digest and alphabetical, such as semver: ">=1.0.0"`},
		"TwoTracks":       {image + "  track:\n    newest: true\n    digest: latest", `6: images[0].track needs exactly one of semver, newest, digest and alphabetical, such as semver: ">=1.0.0"`},
		"NotNewest":       {image + "  track: {newest: false}", `6: images[0].track needs exactly one of semver, newest, digest and alphabetical, such as semver: ">=1.0.0"`},
		"Semver":          {image + "  track: {semver: planted}", `6: images[0].track.semver must be a range of versions, such as ">=1.0.0", "1.x" or ">=1.2.0 <2.0.0"`},
		"SemverNumber":    {image + "  track: {semver: 1.0}", `6: images[0].track.semver must be text: put the value in quotes`},
		"DigestTag":       {image + "  track: {digest: 'sha256:planted'}", `6: images[0].track.digest must be a tag, such as latest: its digest is followed`},
		"Alphabetical":    {image + "  track: {alphabetical: planted}", `6: images[0].track.alphabetical must be one of asc, desc`},
		"Allow":           {image + "  track: {newest: true, allow: 'planted('}", `6: images[0].track.allow must be a regular expression (RE2), such as "^v[0-9]+$"`},
		"AllowLong":       {image + "  track: {newest: true, allow: " + deep + "}", `6: images[0].track.allow is longer than 1000 letters`},
		"IgnoreDigest":    {image + "  track: {digest: latest, ignore: a}", `6: images[0].track.ignore does not go with digest, which follows one tag`},
		"TrackField":      {image + "  track: {smever: '1'}", `6: unknown field "smever" in images[0].track; did you mean "semver"?`},
		"TwoPlaces":       {image + "  track: {newest: true}\n  update: {kustomization: a, markedFile: b}", "7: images[0].update.markedFile and kustomization exclude each other: the tag is written in one place"},
		"PlaceOutside":    {image + "  track: {newest: true}\n  update: {markedFile: ../../../b}", "7: images[0].update.markedFile leads out of the repository"},
		"NoKey":           {image + "  track: {newest: true}\n  update: {valuesFile: values.yaml}", "7: images[0].update.valuesFile needs a key beside it: the field to write, such as image.tag"},
		"KeyAlone":        {image + "  track: {newest: true}\n  update: {key: image.tag}", "7: images[0].update.key needs a valuesFile beside it: the file that it is in"},
		"Key":             {image + "  track: {newest: true}\n  update: {valuesFile: a, key: 'planted..x'}", "7: images[0].update.key must be the way to one field, such as image.tag"},
		"KeyOfAll":        {image + "  track: {newest: true}\n  update: {valuesFile: a, key: 'planted[*].x'}", "7: images[0].update.key must be the way to one field, such as image.tag"},
		"ManyImages":      {"images:" + strings.Repeat("\n- {name: a, skip: true}", maxEntries+1), "3: images has more than 50 entries"},
		"StepEmpty":       {"before: [{}]", "3: before[0] needs a job, which is the name of a Job of the service, or a name and an image"},
		"StepText":        {"before: [planted]", "3: before[0] must be a map; its fields are name, job, image, command, args, env, serviceAccountName, backoffLimit, timeout, skip"},
		"StepNoImage":     {"before: [{name: a}]", "3: before[0] needs an image that it runs, or in place of name a job, which is the name of a Job of the service"},
		"StepBoth":        {"after: [{job: a, image: 'planted:1'}]", "3: after[0].image and job exclude each other: a step is a Job of the service, or one that is written here"},
		"StepNames":       {"after: [{job: a, name: planted}]", "3: after[0].name does not go with job: the step is called as its Job"},
		"StepName":        {"after: [{name: Planted, image: 'a:1'}]", "3: after[0].name must be lower-case letters, digits and dashes, at most 63"},
		"StepJob":         {"after: [{job: planted.job}]", "3: after[0].job must be the name of a Job: lower-case letters, digits and dashes, at most 63"},
		"StepOfJob":       {"after:\n- job: a\n  command: [planted]\n  backoffLimit: 0", "5: after[0].command is said by the Job of the service itself: change it there\napps/checkout/sengu.yaml:6: after[0].backoffLimit is said by the Job of the service itself: change it there"},
		"StepImage":       {"after: [{name: a, image: 'Planted!'}]", "3: after[0].image must be an image, such as registry.example.com/shop/tools:1.2.0"},
		"StepLatest":      {"after: [{name: a, image: 'localhost:5000/planted'}]", "3: after[0].image must have a tag or a digest: what is run would change without a commit"},
		"StepAccount":     {"after: [{name: a, image: 'a:1', serviceAccountName: 'planted x'}]", "3: after[0].serviceAccountName must be the name of a service account"},
		"StepEnv":         {"after: [{name: a, image: 'a:1', env: {'1 A': planted}}]", `3: after[0].env: "1 A" cannot be the name of an environment variable`},
		"StepEnvNumber":   {"after: [{name: a, image: 'a:1', env: {A: 1}}]", `3: after[0].env.A must be text: put the value in quotes`},
		"StepTwice":       {"before: [{job: a}]\nafter:\n- job: a", "5: a step or check of this name is at apps/checkout/sengu.yaml:3: names are unique among before, after and checks"},
		"StepTwiceInList": {"before:\n- job: a\n- {name: a, image: 'a:1'}", "5: before[1] has the name of the entry in line 4: names are unique, so that an environment can replace an entry"},
		"JobTwice":        {"before: [{job: a}]\nchecks:\n- name: b\n  job: a", "5: the Job of this step or check is run by the one at apps/checkout/sengu.yaml:3 already: a Job is run once for a revision"},
		"BackoffText":     {"after: [{name: a, image: 'a:1', backoffLimit: '1'}]", "3: after[0].backoffLimit must be a whole number, without quotes"},
		"BackoffFraction": {"after: [{name: a, image: 'a:1', backoffLimit: 1.5}]", "3: after[0].backoffLimit must be a whole number, without quotes"},
		"BackoffLarge":    {"after: [{name: a, image: 'a:1', backoffLimit: 11}]", "3: after[0].backoffLimit must be from 0 to 10"},
		"BackoffHuge":     {"after: [{name: a, image: 'a:1', backoffLimit: 99999999999999999999}]", "3: after[0].backoffLimit must be a whole number, without quotes"},
		"TimeoutNumber":   {"after: [{job: a, timeout: 60}]", "3: after[0].timeout must be a duration with units, such as 90s, 10m or 1h30m (a day is 24h)"},
		"TimeoutDays":     {"after: [{job: a, timeout: 1d}]", "3: after[0].timeout must be a duration with units, such as 90s, 10m or 1h30m (a day is 24h)"},
		"TimeoutMinus":    {"after: [{job: a, timeout: -1m}]", "3: after[0].timeout must be a duration with units, such as 90s, 10m or 1h30m (a day is 24h)"},
		"TimeoutMap":      {"after: [{job: a, timeout: {}}]", "3: after[0].timeout must be a duration with units, such as 90s, 10m or 1h30m (a day is 24h)"},
		"TimeoutHuge":     {"after: [{job: a, timeout: 99999999999999999999h}]", "3: after[0].timeout must be a duration with units, such as 90s, 10m or 1h30m (a day is 24h)"},
		"TimeoutLong":     {"after: [{job: a, timeout: 25h}]", "3: after[0].timeout must be from 1s to 24h"},
		"CheckEmpty":      {"checks:\n- a\n-\n", "3: checks[1] is empty"},
		"CheckNumber":     {"checks: [1]", "3: checks[0] must be a name or a map; the fields of the map are name, http, job, skip"},
		"CheckName":       {"checks: [Planted]", "3: checks[0].name must be lower-case letters, digits, dashes and dots, at most 63"},
		"CheckNoName":     {"checks: [{http: {url: 'https://a'}}]", "3: checks[0].name is missing"},
		"CheckNothing":    {"checks: ['']", "3: checks[0].name must be lower-case letters, digits, dashes and dots, at most 63"},
		"CheckTwice":      {"before: [{job: a}]\nchecks: [a]", "4: a step or check of this name is at apps/checkout/sengu.yaml:3: names are unique among before, after and checks"},
		"CheckBoth":       {"checks: [{name: a, http: {url: 'https://a'}, job: b}]", "3: checks[0].job and http exclude each other: write a check for each"},
		"CheckJob":        {"checks: [{name: a, job: {}}]", "3: checks[0].job needs a name, which is that of a Job of the service, or an image"},
		"CheckJobBoth":    {"checks: [{name: a, job: {name: b, image: 'c:1'}}]", "3: checks[0].job.image and name exclude each other: it is a Job of the service, or one that is written here"},
		"CheckJobName":    {"checks: [{name: a, job: Planted}]", "3: checks[0].job.name must be the name of a Job: lower-case letters, digits and dashes, at most 63"},
		"HTTPNoURL":       {"checks: [{name: a, http: {}}]", "3: checks[0].http.url is missing"},
		"HTTPURL":         {"checks: [{name: a, http: {url: planted}}]", "3: checks[0].http.url must be the address that is asked: https://… or http://…"},
		"HTTPScheme":      {"checks: [{name: a, http: {url: 'file:///planted'}}]", "3: checks[0].http.url must be the address that is asked: https://… or http://…"},
		"HTTPBraces":      {"checks: [{name: a, http: {url: 'https://{planted}.example.com'}}]", "3: checks[0].http.url must be the address that is asked: https://… or http://…"},
		"HTTPPassword":    {"checks: [{name: a, http: {url: 'https://me:planted@example.com'}}]", "3: checks[0].http.url must not carry a user or a password"},
		"HTTPLong":        {"checks: [{name: a, http: {url: 'https://a/" + strings.Repeat("x", maxURL) + "'}}]", "3: checks[0].http.url is longer than 2048 letters"},
		"HTTPMethod":      {http("method: planted"), "3: checks[0].http.method must be one of GET, HEAD, OPTIONS"},
		"HTTPStatus":      {http("status: [200, 600]"), "3: checks[0].http.status[1] must be from 200 to 599"},
		"HTTPStatusEarly": {http("status: [199]"), "3: checks[0].http.status[0] must be from 200 to 599"},
		"HTTPStatusOne":   {http("status: 200"), "3: checks[0].http.status must be a list"},
		"HTTPBody":        {http("body: 'planted['"), `3: checks[0].http.body must be a regular expression (RE2), such as "^v[0-9]+$"`},
		"HTTPHeader":      {http("headers: {'X Y': planted}"), `3: checks[0].http.headers: "X Y" cannot be the name of a header`},
		"HTTPSecret":      {http("headers: {Authorization: Bearer planted}"), "3: checks[0].http.headers.Authorization would be a secret in Git: use a Job, which can take it from a Secret"},
		"HTTPHost":        {"checks: [{name: a, http: {url: 'https://pl\u00e4nted.example.com'}}]", "3: checks[0].http.url must name its host in plain letters, digits, dots and dashes"},
		"HTTPHeadBody":    {http("method: HEAD, body: planted"), "3: checks[0].http.body does not go with method HEAD, which is answered without one"},
		"HTTPReserved":    {http("headers: {connection: planted}"), "3: checks[0].http.headers.connection is not for a check to set: it says how the request is sent"},
		"HTTPHostHeader":  {http("headers: {Host: planted/x}"), "3: checks[0].http.headers.Host must be the name of a host"},
		"HTTPHeaderLong":  {http("headers: {" + strings.Repeat("x", 129) + ": a}"), `3: checks[0].http.headers: "` + strings.Repeat("x", 129) + `" cannot be the name of a header`},
		"HTTPHeaders":     {http("headers: {" + many + "}"), "3: checks[0].http.headers must be at most 20, of at most 8 KiB together"},
		"HTTPHeadersSize": {http("headers: {X-A: " + strings.Repeat("planted", 2000) + "}"), "3: checks[0].http.headers must be at most 20, of at most 8 KiB together"},
		"HTTPHeaderLines": {http(`headers: {X-A: "a\r\nplanted: b"}`), "3: checks[0].http.headers.X-A must be one line of text"},
		"HTTPInterval":    {http("interval: 999ms"), "3: checks[0].http.interval must be from 1s to 1h"},
		"HTTPTimeout":     {http("timeout: 61s"), "3: checks[0].http.timeout must be from 100ms to 1m"},
		"HTTPSuccesses":   {http("successes: 0"), "3: checks[0].http.successes must be from 1 to 1000"},
		"HTTPFailures":    {http("failures: -1"), "3: checks[0].http.failures must be from 0 to 1000"},
		"RollbackText":    {"rollback: blocked", "3: rollback must be a map; its fields are blocked"},
		"RollbackEmpty":   {"rollback: {}", "3: rollback.blocked is missing"},
		"RollbackBlank":   {"rollback: {blocked: ' '}", "3: rollback.blocked must say why one cannot go back, such as: the migration drops a column"},
		"RollbackTrue":    {"rollback: {blocked: true}", "3: rollback.blocked must be text: put the value in quotes"},
		"RollbackLines":   {"rollback: {blocked: \"planted\\nx\"}", "3: rollback.blocked must be one line of at most 300 letters"},
		"FailAfter":       {"failAfter: 25h", "3: failAfter must be from 0s to 24h"},
		"Deadline":        {"progressDeadline: 0s", "3: progressDeadline must be from 1s to 24h"},
		"Rollout":         {"rollout: none", `3: unknown field "rollout"; the fields here are apiVersion, kind, source, ignore, health, deletion, createNamespace, images, before, after, checks, rollback, failAfter, progressDeadline, environments`},
		"Soak":            {"soak: 10m", `3: unknown field "soak"; the fields here are apiVersion, kind, source, ignore, health, deletion, createNamespace, images, before, after, checks, rollback, failAfter, progressDeadline, environments`},
		"SkipNothing":     {"environments:\n  develop:\n    before: [{job: a, skip: true}]", `5: it skips "a", and there is nothing to skip in before`},
		"SkipMistaken":    {"before: [{job: migrate}]\nenvironments:\n  develop:\n    before: [{job: migrat, skip: true}]", `6: it skips "migrat", which is not in before; did you mean "migrate"?`},
		"SkipUnknown":     {"checks: [a, b]\nenvironments:\n  develop:\n    checks: [{name: latency, skip: true}]", `6: it skips "latency", which is not in checks; there are a, b`},
		"SkipOtherList":   {"before: [{job: e2e}]\nenvironments:\n  develop:\n    after: [{job: e2e, skip: true}]", `6: it skips "e2e", and there is nothing to skip in after`},
		"InEnvironment":   {"environments:\n  develop:\n    after: [{job: a, timeout: 0s}]", "5: environments.develop.after[0].timeout must be from 1s to 24h"},
		"ClashWithin":     {"before: [{job: a}]\nenvironments:\n  develop:\n    checks: [a]", "6: a step or check of this name is at apps/checkout/sengu.yaml:3: names are unique among before, after and checks"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := Parse(testFile, []byte(head+tc.given))
			if err == nil {
				t.Fatal("Parse(...) has no error")
			}
			if diff := cmp.Diff(testFile+":"+tc.want, err.Error()); diff != "" {
				t.Errorf("Parse(...): -want, +got:\n%s", diff)
			}
			if strings.Contains(err.Error(), "planted") {
				t.Errorf("the error shows a value: %v", err)
			}
		})
	}
}

// read reads the file of a service and that of its environment develop.
func read(service, environment string) (Delivery, error) {
	fsys := fstest.MapFS{"a/sengu.yaml": {Data: []byte(head + service)}}
	if environment != "" {
		fsys["a/b/sengu.yaml"] = &fstest.MapFile{Data: []byte(head + environment)}
	}
	return Read(fsys, "a", "a/b", "develop")
}

// step is one as it is read where only its Job is named.
func step(name, at string) Step {
	return Step{Name: name, Job: name, Work: Work{Timeout: time.Hour}, At: at}
}

func TestReadSteps(t *testing.T) {
	image := func(name, at string) Image {
		return Image{Name: name, Repository: "ghcr.io/" + name, Track: Track{Newest: true}, At: at}
	}
	const images = "images:\n- {name: a, repository: ghcr.io/a, track: {newest: true}}\n- {name: b, repository: ghcr.io/b, track: {newest: true}}\n"
	cases := map[string]struct {
		reason               string
		service, environment string
		want                 Settings
		jobs                 []string
	}{
		"Appended": {
			reason:  "An environment adds steps, each file after the one before.",
			service: "before: [{job: a}]\nenvironments:\n  develop:\n    before: [{job: b}]", environment: "before: [{job: c}]",
			want: Settings{Before: []Step{step("a", "a/sengu.yaml:3"), step("b", "a/sengu.yaml:6"), step("c", "a/b/sengu.yaml:3")}},
			jobs: []string{"a", "b", "c"},
		},
		"Replaced": {
			reason:  "One of the same name takes the place of the other, as a whole.",
			service: "before:\n- {job: a, timeout: 5m}\n- job: b", environment: "before: [{job: a}]",
			want: Settings{Before: []Step{step("a", "a/b/sengu.yaml:3"), step("b", "a/sengu.yaml:5")}},
			jobs: []string{"a", "b"},
		},
		"ReplacedJob": {
			reason:  "A Job that was a step is not applied because something else is run in its place.",
			service: "after: [{job: a}]", environment: "after: [{name: a, image: 'b:1'}]",
			want: Settings{After: []Step{{Name: "a", Work: Work{Image: "b:1", Timeout: time.Hour}, At: "a/b/sengu.yaml:3"}}, SkippedJobs: []string{"a"}},
			jobs: []string{"a"},
		},
		"Skipped": {
			reason:  "What is skipped is not run, and its Job is not applied either.",
			service: "before: [{job: a}]\nafter: [{job: b}]\nchecks: [{name: c, job: smoke}, d]\nenvironments:\n  develop:\n    before: [{name: a, skip: true}]", environment: "checks: [{name: c, skip: true}]",
			want: Settings{Before: []Step{}, After: []Step{step("b", "a/sengu.yaml:4")}, Checks: []Check{{Name: "d", At: "a/sengu.yaml:5"}}, SkippedJobs: []string{"a", "smoke"}},
			jobs: []string{"a", "b", "smoke"},
		},
		"Moved": {
			reason:  "An environment may run a step after instead of before.",
			service: "before: [{job: a}]", environment: "before: [{job: a, skip: true}]\nafter: [{job: a}]",
			want: Settings{Before: []Step{}, After: []Step{step("a", "a/b/sengu.yaml:4")}},
			jobs: []string{"a"},
		},
		"RunInOne": {
			reason:  "What a service skips, an environment may run.",
			service: "before: [{job: a, skip: true}]", environment: "before: [{job: a}]",
			want: Settings{Before: []Step{step("a", "a/b/sengu.yaml:3")}},
			jobs: []string{"a"},
		},
		"SkippedEverywhere": {
			reason:  "And in the others it is not applied.",
			service: "before: [{job: a, skip: true}]",
			want:    Settings{Before: []Step{}, SkippedJobs: []string{"a"}},
			jobs:    []string{"a"},
		},
		"Images": {
			reason:  "Images are replaced by name, or skipped.",
			service: images, environment: "images:\n- {name: c, repository: ghcr.io/c, track: {newest: true}}\n- {name: a, skip: true}\n",
			want: Settings{Images: []Image{image("b", "a/sengu.yaml:5"), image("c", "a/b/sengu.yaml:4")}},
		},
		"Paths": {
			reason:  "Files begin at the folder of their own file, and {environment} is replaced.",
			service: "images: [{name: a, repository: ghcr.io/a, track: {newest: true}, update: {markedFile: '{environment}/x.yaml'}}]", environment: "images: [{name: b, repository: ghcr.io/b, track: {newest: true}, update: {kustomization: kustomization.yaml}}]",
			want: Settings{Images: []Image{
				{Name: "a", Repository: "ghcr.io/a", Track: Track{Newest: true}, Update: Update{MarkedFile: "a/develop/x.yaml"}, At: "a/sengu.yaml:3"},
				{Name: "b", Repository: "ghcr.io/b", Track: Track{Newest: true}, Update: Update{Kustomization: "a/b/kustomization.yaml"}, At: "a/b/sengu.yaml:3"},
			}},
		},
		"Address": {
			reason:  "So it is in an address.",
			service: "checks: [{name: a, http: {url: 'https://{environment}.example.com'}}]",
			want:    Settings{Checks: []Check{{Name: "a", HTTP: &HTTP{URL: "https://develop.example.com", Interval: 10 * time.Second, Timeout: 10 * time.Second, Successes: 1, Failures: 3}, At: "a/sengu.yaml:3"}}},
		},
		"Single": {
			reason:  "The later file wins for what is said once.",
			service: "failAfter: 2m\nprogressDeadline: 20m\nrollback: {blocked: one}", environment: "failAfter: 0s\nrollback: {blocked: two}",
			want: Settings{FailAfter: ptr(time.Duration(0)), ProgressDeadline: ptr(20 * time.Minute), Rollback: Rollback{"two"}},
		},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got, err := read(tc.service, tc.environment)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, got.Settings); diff != "" {
				t.Errorf("%s\nRead(...): -want, +got:\n%s", tc.reason, diff)
			}
			if diff := cmp.Diff(tc.jobs, got.Jobs()); diff != "" {
				t.Errorf("%s\nJobs(): -want, +got:\n%s", tc.reason, diff)
			}
		})
	}
}

func TestReadRefusesSteps(t *testing.T) {
	cases := map[string]struct{ service, environment, want string }{
		"SkipMistaken": {"before: [{job: migrate}]", "before: [{job: migrat, skip: true}]", `a/b/sengu.yaml:3: it skips "migrat", which is not in before; did you mean "migrate"?`},
		"SkipNothing":  {"", "images: [{name: a, skip: true}]\nafter: [{job: b, skip: true}]", "a/b/sengu.yaml:3: it skips \"a\", and there is nothing to skip in images\na/b/sengu.yaml:4: it skips \"b\", and there is nothing to skip in after"},
		"SkipCase":     {"images: [{name: A, repository: ghcr.io/a, track: {newest: true}}]", "images: [{name: a, skip: true}]", `a/b/sengu.yaml:3: it skips "a", which is not in images; did you mean "A"?`},
		"Clash":        {"before: [{job: a}]", "checks: [a]", "a/b/sengu.yaml:3: a step or check of this name is at a/sengu.yaml:3: names are unique among before, after and checks"},
		"JobClash":     {"before: [{job: a}]", "checks: [{name: b, job: a}]", "a/b/sengu.yaml:3: the Job of this step or check is run by the one at a/sengu.yaml:3 already: a Job is run once for a revision"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			_, err := read(tc.service, tc.environment)
			if err == nil {
				t.Fatal("Read(...) has no error")
			}
			if diff := cmp.Diff(tc.want, err.Error()); diff != "" {
				t.Errorf("Read(...): -want, +got:\n%s", diff)
			}
		})
	}
}

// TestForLeavesSteps reads one file for two environments.
func TestForLeavesSteps(t *testing.T) {
	text := head + "images: [{name: a, repository: ghcr.io/a, track: {newest: true}, update: {markedFile: '{environment}.yaml'}}]\n" +
		"checks: [{name: a, http: {url: 'https://{environment}.example.com'}}]\nbefore: [{job: b}]\nenvironments: {develop: {before: [{job: b, skip: true}]}}"
	d, err := Parse(testFile, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	d.For("develop")
	got := d.For("staging")
	if got.Images[0].Update.MarkedFile != "apps/checkout/staging.yaml" || got.Checks[0].HTTP.URL != "https://staging.example.com" || got.Before[0].Skip {
		t.Errorf("For(staging) after For(develop) = %+v", got.Settings)
	}
}

func TestAccepts(t *testing.T) {
	cases := map[string]struct {
		status []int
		given  int
		want   bool
	}{
		"OK": {nil, 200, true}, "NoContent": {nil, 204, true}, "Moved": {nil, 301, false}, "Early": {nil, 199, false}, "Named": {[]int{418}, 418, true}, "NotNamed": {[]int{418}, 200, false},
	}
	for name, tc := range cases {
		if got := (HTTP{Status: tc.status}).Accepts(tc.given); got != tc.want {
			t.Errorf("%s: Accepts(%d) = %v", name, tc.given, got)
		}
	}
	if job := (Step{Job: "a", Work: Work{Timeout: time.Minute}}).Runs(); job.Name != "a" || job.Timeout != time.Minute {
		t.Errorf("Runs() = %+v", job)
	}
}
