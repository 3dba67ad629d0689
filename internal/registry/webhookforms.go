package registry

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
)

// distributionEvent is one event of a registry's notifications. Source: CNCF Distribution, "Work with notifications".
type distributionEvent struct {
	Action string
	Target struct {
		Repository, Tag, Digest, URL string
	}
	Request struct{ Host string }
}

func (e distributionEvent) push() (Push, bool) {
	if e.Action != "push" || e.Target.Repository == "" {
		return Push{}, false
	}
	host := e.Request.Host
	if u, err := url.Parse(e.Target.URL); err == nil && u.Host != "" {
		host = u.Host
	}
	if strings.Contains(e.Target.URL, "/blobs/") || host == "" {
		return Push{}, false // a layer, which is announced as well
	}
	return Push{Repository: host + "/" + e.Target.Repository, Tag: e.Target.Tag, Digest: e.Target.Digest}, true
}

func parseDistribution(body []byte) ([]Push, error) {
	var p struct{ Events []distributionEvent }
	if err := decode(body, &p); err != nil {
		return nil, err
	}
	var pushes []Push
	for _, e := range p.Events {
		if push, ok := e.push(); ok {
			pushes = append(pushes, push)
		}
	}
	return pushes, nil
}

// parseAzure reads one event, which has the form of one of the distribution's. Source: "Azure Container Registry
// webhook reference".
func parseAzure(body []byte) ([]Push, error) {
	var e distributionEvent
	if err := decode(body, &e); err != nil {
		return nil, err
	}
	if push, ok := e.push(); ok {
		return []Push{push}, nil
	}
	return nil, nil
}

// parseDockerHub. Source: Docker, "Docker Hub webhooks".
func parseDockerHub(body []byte) ([]Push, error) {
	var p struct {
		PushData struct{ Tag string } `json:"push_data"`
		// Repository has the name of its owner in it, but for official images.
		Repository struct {
			RepoName string `json:"repo_name"`
		}
	}
	if err := decode(body, &p); err != nil {
		return nil, err
	}
	return []Push{{Repository: "docker.io/" + p.Repository.RepoName, Tag: p.PushData.Tag}}, nil
}

// parseGitHub reads the events package and registry_package. Source: GitHub, "Webhook events and payloads".
func parseGitHub(body []byte) ([]Push, error) {
	type version struct {
		PackageURL        string `json:"package_url"`
		Version           string `json:"version"`
		ContainerMetadata struct {
			Tag struct{ Name, Digest string }
		} `json:"container_metadata"`
	}
	type gitHubPackage struct {
		Name, Ecosystem string
		PackageType     string `json:"package_type"`
		Owner           struct{ Login string }
		PackageVersion  version `json:"package_version"`
	}
	var p struct {
		Action          string
		Package         *gitHubPackage
		RegistryPackage *gitHubPackage `json:"registry_package"`
	}
	if err := decode(body, &p); err != nil {
		return nil, err
	}
	pkg := p.Package
	if pkg == nil {
		pkg = p.RegistryPackage
	}
	container := pkg != nil && (strings.EqualFold(pkg.PackageType, "container") || strings.EqualFold(pkg.Ecosystem, "container"))
	if !container || (p.Action != "published" && p.Action != "updated") {
		return nil, nil
	}
	v := pkg.PackageVersion
	push := Push{Repository: "ghcr.io/" + pkg.Owner.Login + "/" + pkg.Name}
	if v.PackageURL != "" {
		named, err := fromReference(strings.ToLower(beforeTag(v.PackageURL)))
		if err != nil {
			return nil, err
		}
		push.Repository = named.Repository // that of a GitHub which is not github.com
	}
	push.Tag, push.Digest = v.ContainerMetadata.Tag.Name, v.ContainerMetadata.Tag.Digest
	if push.Digest == "" {
		push.Digest = v.Version
	}
	return []Push{push}, nil
}

// beforeTag takes the tag off a reference.
func beforeTag(s string) string {
	if i := strings.LastIndexByte(s, ':'); i > strings.LastIndexByte(s, '/') {
		return s[:i]
	}
	return s
}

// parseGitea reads the event package of Gitea and Forgejo.
func parseGitea(body []byte) ([]Push, error) {
	var p struct {
		Action  string
		Package struct {
			Type, Name, Version string
			Owner               struct{ Login string }
			HTMLURL             string `json:"html_url"`
		}
	}
	if err := decode(body, &p); err != nil {
		return nil, err
	}
	if p.Package.Type != "container" || p.Action != "created" {
		return nil, nil
	}
	u, err := url.Parse(p.Package.HTMLURL)
	if err != nil {
		return nil, fmt.Errorf("%w: the package is at no URL", ErrMalformed)
	}
	return []Push{{Repository: u.Host + "/" + p.Package.Owner.Login + "/" + p.Package.Name, Tag: p.Package.Version}}, nil
}

// harborData is what happened. Source: Harbor, "Configure Webhook Notifications".
type harborData struct {
	Resources []struct {
		Tag, Digest string
		ResourceURL string `json:"resource_url"`
	}
}

func (d harborData) pushes() ([]Push, error) {
	pushes := make([]Push, 0, len(d.Resources))
	for _, r := range d.Resources {
		push, err := fromReference(r.ResourceURL)
		if err != nil {
			return nil, err
		}
		if push.Digest == "" {
			push.Digest = r.Digest
		}
		if push.Tag == "" {
			push.Tag = r.Tag
		}
		pushes = append(pushes, push)
	}
	return pushes, nil
}

func parseHarbor(body []byte) ([]Push, error) {
	var p struct {
		Type      string
		EventData harborData `json:"event_data"`
	}
	if err := decode(body, &p); err != nil {
		return nil, err
	}
	if p.Type != "PUSH_ARTIFACT" && p.Type != "pushImage" {
		return nil, nil
	}
	return p.EventData.pushes()
}

func parseHarborCloudEvent(body []byte) ([]Push, error) {
	var p struct {
		Type string
		Data json.RawMessage
	}
	if err := decode(body, &p); err != nil {
		return nil, err
	}
	if p.Type != "harbor.artifact.pushed" && p.Type != "harbor.tag.created" {
		return nil, nil
	}
	var d harborData
	if err := decode(p.Data, &d); err != nil {
		return nil, err
	}
	return d.pushes()
}

// parseQuay. Source: Quay, "Repository notifications". Old versions have an object of tags, newer ones a list.
func parseQuay(body []byte) ([]Push, error) {
	var p struct {
		DockerURL   string          `json:"docker_url"`
		UpdatedTags json.RawMessage `json:"updated_tags"`
	}
	if err := decode(body, &p); err != nil {
		return nil, err
	}
	var tags []string
	var byTag map[string]json.RawMessage
	switch {
	case p.UpdatedTags == nil:
		return nil, nil // a build, or a scan
	case json.Unmarshal(p.UpdatedTags, &tags) == nil:
	case json.Unmarshal(p.UpdatedTags, &byTag) == nil:
		for tag := range byTag {
			tags = append(tags, tag)
		}
	default:
		return nil, fmt.Errorf("%w: it has no tags", ErrMalformed)
	}
	pushes := make([]Push, len(tags))
	for i, tag := range tags {
		pushes[i] = Push{Repository: p.DockerURL, Tag: tag}
	}
	return pushes, nil
}

// parsePubSub takes the wrapping off a message of Google's Pub/Sub.
func parsePubSub(body []byte) ([]Push, error) {
	var p struct{ Message struct{ Data string } }
	if err := decode(body, &p); err != nil {
		return nil, err
	}
	data, err := base64.StdEncoding.DecodeString(p.Message.Data)
	if err != nil {
		return nil, fmt.Errorf("%w: the message is not base64", ErrMalformed)
	}
	return parseGoogle(data)
}

// parseGoogle. Source: Google Cloud, "Configure Pub/Sub notifications" of Artifact Registry.
func parseGoogle(body []byte) ([]Push, error) {
	var p struct{ Action, Digest, Tag string }
	if err := decode(body, &p); err != nil {
		return nil, err
	}
	if p.Action != "INSERT" || (p.Tag == "" && p.Digest == "") {
		return nil, nil
	}
	var push Push
	for _, s := range []string{p.Digest, p.Tag} {
		if s == "" {
			continue
		}
		r, err := fromReference(s)
		if err != nil {
			return nil, err
		}
		push.Repository = r.Repository
		push.Tag, push.Digest = push.Tag+r.Tag, push.Digest+r.Digest
	}
	return []Push{push}, nil
}

// parseSNS takes the wrapping off a message of Amazon SNS. A subscription is confirmed by a person: the URL for it is
// one that the sender chose, and is not fetched.
func parseSNS(body []byte) ([]Push, error) {
	var p struct{ Type, Message string }
	if err := decode(body, &p); err != nil {
		return nil, err
	}
	switch p.Type {
	case "Notification":
		return parseEventBridge([]byte(p.Message))
	case "":
		return parseEventBridge(body) // with raw delivery there is no wrapping
	}
	return nil, fmt.Errorf("%w: it asks to confirm a subscription, which you do in the console of SNS", ErrNotAPush)
}

// parseEventBridge. Source: Amazon ECR, "Events and EventBridge".
func parseEventBridge(body []byte) ([]Push, error) {
	var p struct {
		Source, Account, Region string
		DetailType              string `json:"detail-type"`
		Detail                  struct {
			Result     string
			Repository string `json:"repository-name"`
			Digest     string `json:"image-digest"`
			Action     string `json:"action-type"`
			Tag        string `json:"image-tag"`
		}
	}
	if err := decode(body, &p); err != nil {
		return nil, err
	}
	d := p.Detail
	if p.Source != "aws.ecr" || p.DetailType != "ECR Image Action" || d.Action != "PUSH" || d.Result != "SUCCESS" {
		return nil, nil
	}
	domain := "amazonaws.com"
	if strings.HasPrefix(p.Region, "cn-") {
		domain = "amazonaws.com.cn"
	}
	host := p.Account + ".dkr.ecr." + p.Region + "." + domain
	return []Push{{Repository: host + "/" + d.Repository, Tag: d.Tag, Digest: d.Digest}}, nil
}

// parseOwn reads Sengu's own form.
func parseOwn(body []byte) ([]Push, error) {
	var p struct{ Image string }
	if err := decode(body, &p); err != nil {
		return nil, err
	}
	push, err := fromReference(p.Image)
	if err != nil {
		return nil, err
	}
	return []Push{push}, nil
}
