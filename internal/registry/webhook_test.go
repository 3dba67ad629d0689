package registry_test

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/sengu-dev/sengu/internal/image"
	"github.com/sengu-dev/sengu/internal/registry"
	"github.com/sengu-dev/sengu/internal/registry/ociserver"
)

const (
	digest1 = "sha256:1111111111111111111111111111111111111111111111111111111111111111"
	digest2 = "sha256:2222222222222222222222222222222222222222222222222222222222222222"
)

// Webhooks as registries send them, with the fields that tell something.
const (
	distributionHook = `{"events":[
		{"id":"1","action":"pull","target":{"repository":"shop/checkout","digest":"` + digest1 + `","tag":"1.0.0"},"request":{"host":"r.example.com"}},
		{"id":"2","action":"push","target":{"mediaType":"application/octet-stream","repository":"shop/checkout","url":"https://r.example.com/v2/shop/checkout/blobs/` + digest2 + `","digest":"` + digest2 + `"},"request":{"host":"r.example.com"}},
		{"id":"3","action":"push","target":{"mediaType":"application/vnd.oci.image.manifest.v1+json","repository":"shop/checkout","url":"https://r.example.com/v2/shop/checkout/manifests/` + digest1 + `","digest":"` + digest1 + `","tag":"1.0.0"},"request":{"host":"internal:5000"}},
		{"id":"4","action":"delete","target":{"repository":"shop/checkout","tag":"0.9.0"},"request":{"host":"r.example.com"}}]}`
	azureHook     = `{"id":"1","action":"push","target":{"mediaType":"x","digest":"` + digest1 + `","repository":"shop/checkout","tag":"1.0.0"},"request":{"host":"shop.azurecr.io","method":"PUT"}}`
	dockerHubHook = `{"callback_url":"https://registry.hub.docker.com/u/shop/checkout/hook/1/","push_data":{"pushed_at":1417566161,"pusher":"robot","tag":"1.0.0"},"repository":{"name":"checkout","namespace":"shop","repo_name":"shop/checkout","repo_url":"https://hub.docker.com/r/shop/checkout"}}`
	gitHubHook    = `{"action":"published","%s":{"name":"checkout","namespace":"Shop","ecosystem":"CONTAINER","package_type":"CONTAINER","owner":{"login":"Shop"},"package_version":{"version":"` + digest1 + `","name":"` + digest1 + `","container_metadata":{"tag":{"name":"1.0.0","digest":"` + digest1 + `"}},"package_url":"ghcr.io/Shop/checkout:1.0.0"}}}`
	giteaHook     = `{"action":"created","package":{"type":"container","name":"checkout","version":"1.0.0","owner":{"login":"Shop"},"html_url":"https://git.example.com:3000/Shop/-/packages/container/checkout/1.0.0"}}`
	harborHook    = `{"type":"PUSH_ARTIFACT","occur_at":1672549200,"operator":"admin","event_data":{"resources":[{"digest":"` + digest1 + `","tag":"1.0.0","resource_url":"harbor.example.com/shop/checkout:1.0.0"}],"repository":{"name":"checkout","namespace":"shop","repo_full_name":"shop/checkout"}}}`
	harborCloud   = `{"specversion":"1.0","type":"harbor.artifact.pushed","source":"/projects/1/webhook/policies/3","data":{"resources":[{"digest":"` + digest1 + `","tag":"` + digest1 + `","resource_url":"harbor.example.com/shop/checkout@` + digest1 + `"}]}}`
	quayHook      = `{"name":"checkout","repository":"shop/checkout","namespace":"shop","docker_url":"quay.io/shop/checkout","homepage":"https://quay.io/repository/shop/checkout","updated_tags":["1.0.0","latest"]}`
	quayOldHook   = `{"docker_url":"quay.io/shop/checkout","updated_tags":{"1.0.0":"b750fe79269d"}}`
	googleHook    = `{"action":"INSERT","digest":"europe-docker.pkg.dev/shop/apps/checkout@` + digest1 + `","tag":"europe-docker.pkg.dev/shop/apps/checkout:1.0.0"}`
	amazonHook    = `{"version":"0","id":"1","detail-type":"ECR Image Action","source":"aws.ecr","account":"123456789012","time":"2026-01-01T00:00:00Z","region":"%s","resources":[],"detail":{"result":"SUCCESS","repository-name":"shop/checkout","image-digest":"` + digest1 + `","action-type":"PUSH","image-tag":"1.0.0"}}`
)

func snsOf(message string) string {
	m, _ := json.Marshal(message)
	return `{"Type":"Notification","MessageId":"1","TopicArn":"arn:aws:sns:eu-west-1:123456789012:pushes","Message":` + string(m) + `,"Signature":"x"}`
}

func pubSubOf(data string) string {
	return `{"message":{"data":"` + base64.StdEncoding.EncodeToString([]byte(data)) + `","messageId":"1"},"subscription":"projects/shop/subscriptions/sengu"}`
}

func TestPushed(t *testing.T) {
	push := func(repo string) []registry.Push {
		return []registry.Push{{Repository: repo, Tag: "1.0.0", Digest: digest1}}
	}
	amazon := fmt.Sprintf(amazonHook, "eu-west-1")
	cases := map[string]struct {
		header map[string]string
		body   string
		want   []registry.Push
		err    error
	}{
		"Distribution":       {body: distributionHook, want: push("r.example.com/shop/checkout")},
		"DistributionPull":   {body: `{"events":[{"action":"pull","target":{"repository":"a","tag":"b"},"request":{"host":"r.example.com"}}]}`, err: registry.ErrNotAPush},
		"DistributionNone":   {body: `{"events":[]}`, err: registry.ErrNotAPush},
		"DistributionNoHost": {body: `{"events":[{"action":"push","target":{"repository":"a","tag":"b"}}]}`, err: registry.ErrNotAPush},
		"DistributionTwice": {
			body: `{"events":[{"action":"push","target":{"repository":"a","tag":"b"},"request":{"host":"r.example.com"}},{"action":"push","target":{"repository":"a","tag":"b"},"request":{"host":"r.example.com"}}]}`,
			want: []registry.Push{{Repository: "r.example.com/a", Tag: "b"}},
		},
		"DistributionTooMany": {body: `{"events":[` + strings.Repeat(`{"action":"push","target":{"repository":"a","tag":"b"},"request":{"host":"r"}},`, 1001) + `{}]}`, err: registry.ErrTooLarge},
		"Azure":               {body: azureHook, want: push("shop.azurecr.io/shop/checkout")},
		"AzureDelete":         {body: strings.Replace(azureHook, `"push"`, `"delete"`, 1), err: registry.ErrNotAPush},
		"DockerHub":           {body: dockerHubHook, want: []registry.Push{{Repository: "docker.io/shop/checkout", Tag: "1.0.0"}}},
		"DockerHubOfficial":   {body: `{"push_data":{"tag":"8"},"repository":{"repo_name":"redis"}}`, want: []registry.Push{{Repository: "docker.io/library/redis", Tag: "8"}}},
		"DockerHubNoName":     {body: `{"push_data":{"tag":"8"},"repository":{}}`, err: registry.ErrMalformed},
		"GitHub":              {header: map[string]string{"X-GitHub-Event": "package"}, body: fmt.Sprintf(gitHubHook, "package"), want: push("ghcr.io/shop/checkout")},
		"GitHubRegistry":      {header: map[string]string{"X-GitHub-Event": "registry_package"}, body: fmt.Sprintf(gitHubHook, "registry_package"), want: push("ghcr.io/shop/checkout")},
		"GitHubEnterprise":    {header: map[string]string{"X-GitHub-Event": "package"}, body: strings.ReplaceAll(fmt.Sprintf(gitHubHook, "package"), "ghcr.io", "containers.git.example.com"), want: push("containers.git.example.com/shop/checkout")},
		"GitHubUntagged": {
			header: map[string]string{"X-GitHub-Event": "package"}, body: strings.NewReplacer(`"name":"1.0.0",`, `"name":"",`, "checkout:1.0.0", "checkout:").Replace(fmt.Sprintf(gitHubHook, "package")),
			want: []registry.Push{{Repository: "ghcr.io/shop/checkout", Digest: digest1}},
		},
		"GitHubNPM":     {header: map[string]string{"X-GitHub-Event": "package"}, body: strings.ReplaceAll(fmt.Sprintf(gitHubHook, "package"), "CONTAINER", "npm"), err: registry.ErrNotAPush},
		"GitHubPush":    {header: map[string]string{"X-GitHub-Event": "push"}, body: `{"ref":"refs/heads/main","action":"x"}`, err: registry.ErrNotAPush},
		"GitHubDeleted": {header: map[string]string{"X-GitHub-Event": "package"}, body: strings.Replace(fmt.Sprintf(gitHubHook, "package"), "published", "deleted", 1), err: registry.ErrNotAPush},
		"Gitea":         {header: map[string]string{"X-Gitea-Event": "package", "X-GitHub-Event": "package"}, body: giteaHook, want: []registry.Push{{Repository: "git.example.com:3000/shop/checkout", Tag: "1.0.0"}}},
		"Forgejo":       {header: map[string]string{"X-Forgejo-Event": "package"}, body: strings.Replace(giteaHook, `"version":"1.0.0"`, `"version":"`+digest1+`"`, 1), want: []registry.Push{{Repository: "git.example.com:3000/shop/checkout", Digest: digest1}}},
		"GiteaMaven":    {header: map[string]string{"X-Gitea-Event": "package"}, body: strings.Replace(giteaHook, "container", "maven", 1), err: registry.ErrNotAPush},
		"Harbor":        {body: harborHook, want: push("harbor.example.com/shop/checkout")},
		"HarborPull":    {body: strings.Replace(harborHook, "PUSH_", "PULL_", 1), err: registry.ErrNotAPush},
		"HarborCloud":   {body: harborCloud, want: []registry.Push{{Repository: "harbor.example.com/shop/checkout", Digest: digest1}}},
		"HarborScan":    {body: strings.Replace(harborCloud, "artifact.pushed", "scan.completed", 1), err: registry.ErrNotAPush},
		"Quay":          {body: quayHook, want: []registry.Push{{Repository: "quay.io/shop/checkout", Tag: "1.0.0"}, {Repository: "quay.io/shop/checkout", Tag: "latest"}}},
		"QuayOld":       {body: quayOldHook, want: []registry.Push{{Repository: "quay.io/shop/checkout", Tag: "1.0.0"}}},
		"QuayBuild":     {body: `{"docker_url":"quay.io/a/b","build_id":"x"}`, err: registry.ErrNotAPush},
		"QuayBadTags":   {body: `{"docker_url":"quay.io/a/b","updated_tags":5}`, err: registry.ErrMalformed},
		"Google":        {body: pubSubOf(googleHook), want: push("europe-docker.pkg.dev/shop/apps/checkout")},
		"GoogleBare":    {body: googleHook, want: push("europe-docker.pkg.dev/shop/apps/checkout")},
		"GoogleDigest":  {body: pubSubOf(`{"action":"INSERT","digest":"europe-docker.pkg.dev/shop/apps/checkout@` + digest1 + `"}`), want: []registry.Push{{Repository: "europe-docker.pkg.dev/shop/apps/checkout", Digest: digest1}}},
		"GoogleDelete":  {body: pubSubOf(strings.Replace(googleHook, "INSERT", "DELETE", 1)), err: registry.ErrNotAPush},
		"GoogleBase64":  {body: `{"message":{"data":"%%%"},"subscription":"x"}`, err: registry.ErrMalformed},
		"Amazon":        {body: amazon, want: push("123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop/checkout")},
		"AmazonChina":   {body: fmt.Sprintf(amazonHook, "cn-north-1"), want: push("123456789012.dkr.ecr.cn-north-1.amazonaws.com.cn/shop/checkout")},
		"AmazonSNS":     {header: map[string]string{"X-Amz-Sns-Message-Type": "Notification"}, body: snsOf(amazon), want: push("123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop/checkout")},
		"AmazonSNSBare": {body: snsOf(amazon), want: push("123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop/checkout")},
		"AmazonRaw":     {header: map[string]string{"X-Amz-Sns-Message-Type": "Notification"}, body: amazon, want: push("123456789012.dkr.ecr.eu-west-1.amazonaws.com/shop/checkout")},
		"AmazonFailure": {body: strings.Replace(amazon, "SUCCESS", "FAILURE", 1), err: registry.ErrNotAPush},
		"AmazonDelete":  {body: strings.Replace(amazon, "PUSH", "DELETE", 1), err: registry.ErrNotAPush},
		"AmazonOther":   {body: strings.Replace(amazon, "aws.ecr", "aws.ec2", 1), err: registry.ErrNotAPush},
		"AmazonRegion":  {body: fmt.Sprintf(amazonHook, "x/../evil.example.com"), err: registry.ErrMalformed},
		"SNSConfirm":    {header: map[string]string{"X-Amz-Sns-Message-Type": "SubscriptionConfirmation"}, body: `{"Type":"SubscriptionConfirmation","TopicArn":"x","SubscribeURL":"http://169.254.169.254/"}`, err: registry.ErrNotAPush},
		"Own":           {body: `{"image":"r.example.com/shop/checkout:1.0.0@` + digest1 + `"}`, want: push("r.example.com/shop/checkout")},
		"OwnNoTag":      {body: `{"image":"r.example.com/shop/checkout"}`, err: registry.ErrMalformed},
		"Unknown":       {body: `{"hello":"world"}`, err: registry.ErrMalformed},
		"NotJSON":       {body: `hello`, err: registry.ErrMalformed},
		"List":          {body: `[]`, err: registry.ErrMalformed},
		"Empty":         {err: registry.ErrMalformed},
		"WrongType":     {body: `{"events":{"a":1}}`, err: registry.ErrMalformed},
		"BadTag":        {body: `{"push_data":{"tag":"a b"},"repository":{"repo_name":"a/b"}}`, err: registry.ErrMalformed},
		"BadDigest":     {body: strings.Replace(azureHook, digest1, "sha256:short", 1), want: []registry.Push{{Repository: "shop.azurecr.io/shop/checkout", Tag: "1.0.0"}}},
		"BadRepository": {body: strings.Replace(dockerHubHook, `"shop/checkout"`, `"../../etc"`, 1), err: registry.ErrMalformed},
		"TooLarge":      {body: `{"image":"` + strings.Repeat("x", registry.MaxWebhook) + `"}`, err: registry.ErrTooLarge},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			h := http.Header{}
			for k, v := range tc.header {
				h.Set(k, v)
			}
			got, err := registry.Pushed(h, []byte(tc.body))
			if !errors.Is(err, tc.err) || (err == nil) != (tc.err == nil) {
				t.Fatalf("got error %v, want %v", err, tc.err)
			}
			if diff := cmp.Diff(tc.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// TestPushedByARegistry: a registry tells of what was pushed to it.
func TestPushedByARegistry(t *testing.T) {
	got := make(chan []registry.Push, 10)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		pushes, err := registry.Pushed(r.Header, body)
		if err != nil && !errors.Is(err, registry.ErrNotAPush) {
			t.Errorf("%v of %s", err, body)
		}
		if err == nil {
			got <- pushes
		}
	}))
	defer hook.Close()
	s := serve(t, ociserver.Options{Notify: hook.URL})
	want := registry.Push{Repository: s.host + "/shop/checkout", Tag: "1.0.0", Digest: s.pushRandom("shop/checkout", "1.0.0")}
	select {
	case pushes := <-got:
		if diff := cmp.Diff([]registry.Push{want}, pushes); diff != "" {
			t.Error(diff)
		}
	case <-time.After(20 * time.Second):
		t.Fatal("no webhook came")
	}
}

func FuzzPushed(f *testing.F) {
	for _, body := range []string{
		distributionHook, azureHook, dockerHubHook, fmt.Sprintf(gitHubHook, "package"), giteaHook, harborHook, harborCloud, quayHook, quayOldHook,
		pubSubOf(googleHook), googleHook, fmt.Sprintf(amazonHook, "eu-west-1"), snsOf(amazonHook), `{"image":"a:b"}`, `{"events":[null]}`,
	} {
		for _, header := range []string{"X-None", "X-Github-Event", "X-Gitea-Event", "X-Amz-Sns-Message-Type"} {
			f.Add(header, []byte(body))
		}
	}
	f.Fuzz(func(t *testing.T, header string, body []byte) {
		pushes, err := registry.Pushed(http.Header{header: {"package"}}, body)
		if (err == nil) != (len(pushes) > 0) {
			t.Fatalf("%d pushes, and %v", len(pushes), err)
		}
		for _, p := range pushes {
			written, err := image.ParseRepository(p.Repository)
			if err != nil || written != p.Repository || (p.Tag == "" && p.Digest == "") || (p.Tag != "" && !image.ValidTag(p.Tag)) || (p.Digest != "" && !image.ValidDigest(p.Digest)) {
				t.Fatalf("%+v cannot be: %v", p, err)
			}
		}
	})
}
