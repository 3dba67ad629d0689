package gitrepo

import (
	"encoding/json"
	"fmt"
	"strings"
)

// branchOf takes the branch out of a ref; everything else that moves is ignored.
func branchOf(ref string) (string, error) {
	branch, ok := strings.CutPrefix(ref, "refs/heads/")
	if !ok || branch == "" {
		return "", fmt.Errorf("%w: it is about no branch", ErrIgnored)
	}
	return branch, nil
}

func decode(body []byte, into any) error {
	if err := json.Unmarshal(body, into); err != nil {
		return fmt.Errorf("%w: the body is not the JSON that was expected", ErrWebhookMalformed)
	}
	return nil
}

// parseGitHub reads a push of GitHub, Gitea or Forgejo.
func parseGitHub(event string, body []byte) (Push, error) {
	if event != "push" {
		return Push{}, fmt.Errorf("%w: it is not a push", ErrIgnored)
	}
	var p struct {
		Ref, Before, After string
		Repository         struct {
			CloneURL string `json:"clone_url"`
			SSHURL   string `json:"ssh_url"`
			HTMLURL  string `json:"html_url"`
		}
	}
	if err := decode(body, &p); err != nil {
		return Push{}, err
	}
	branch, err := branchOf(p.Ref)
	if err != nil {
		return Push{}, err
	}
	return Push{
		URLs: []string{p.Repository.CloneURL, p.Repository.SSHURL, p.Repository.HTMLURL}, Branch: branch, Before: p.Before, After: p.After,
	}, nil
}

// parseGitLab reads a push of a project's or of a system's hook.
func parseGitLab(event string, body []byte) (Push, error) {
	var p struct {
		ObjectKind string `json:"object_kind"`
		EventName  string `json:"event_name"`
		Ref        string
		Before     string
		After      string
		Project    struct {
			HTTP string `json:"git_http_url"`
			SSH  string `json:"git_ssh_url"`
			Web  string `json:"web_url"`
		}
	}
	if event != "Push Hook" && event != "System Hook" {
		return Push{}, fmt.Errorf("%w: it is not a push", ErrIgnored)
	}
	if err := decode(body, &p); err != nil {
		return Push{}, err
	}
	if p.ObjectKind != "push" && p.EventName != "push" {
		return Push{}, fmt.Errorf("%w: it is not a push", ErrIgnored)
	}
	branch, err := branchOf(p.Ref)
	if err != nil {
		return Push{}, err
	}
	return Push{URLs: []string{p.Project.HTTP, p.Project.SSH, p.Project.Web}, Branch: branch, Before: p.Before, After: p.After}, nil
}

// bitbucketLinks are the addresses of a repository; Cloud has an object where Data Center has lists.
type bitbucketLinks struct {
	HTML  json.RawMessage
	Self  json.RawMessage
	Clone json.RawMessage
}

func (l bitbucketLinks) urls() []string {
	type link struct{ Href string }
	all := make([]string, 0, 3) // Cloud has one in each
	for _, raw := range []json.RawMessage{l.HTML, l.Self, l.Clone} {
		var one link
		var many []link
		if json.Unmarshal(raw, &one) == nil {
			many = append(many, one)
		} else {
			_ = json.Unmarshal(raw, &many)
		}
		for _, m := range many {
			all = append(all, strings.TrimSuffix(m.Href, "/browse"))
		}
	}
	return all
}

// parseBitbucket reads repo:push of Bitbucket Cloud and repo:refs_changed of Bitbucket Data Center. One push may move
// several branches.
func parseBitbucket(event string, body []byte) (Push, error) {
	type side struct {
		Type   string
		Name   string
		Target struct{ Hash string }
	}
	var p struct {
		Repository struct{ Links bitbucketLinks }
		Push       struct {
			Changes []struct{ Old, New *side }
		}
		Changes []struct {
			Ref              struct{ ID string }
			FromHash, ToHash string
		}
	}
	if event != "repo:push" && event != "repo:refs_changed" {
		return Push{}, fmt.Errorf("%w: it is not a push", ErrIgnored)
	}
	if err := decode(body, &p); err != nil {
		return Push{}, err
	}
	var moved []Push
	for _, c := range p.Push.Changes {
		var one Push
		for i, s := range []*side{c.Old, c.New} {
			if s == nil || s.Type != "branch" {
				continue
			}
			one.Branch = s.Name
			*[]*string{&one.Before, &one.After}[i] = s.Target.Hash
		}
		if one.Branch != "" {
			moved = append(moved, one)
		}
	}
	for _, c := range p.Changes {
		if branch, err := branchOf(c.Ref.ID); err == nil {
			moved = append(moved, Push{Branch: branch, Before: c.FromHash, After: c.ToHash})
		}
	}
	if len(moved) == 0 {
		return Push{}, fmt.Errorf("%w: it is about no branch", ErrIgnored)
	}
	push := Push{}
	if len(moved) == 1 {
		push = moved[0]
	}
	push.URLs = p.Repository.Links.urls()
	return push, nil
}

// parseGeneric reads Sengu's own form. The branch may be a full ref, or be left out.
func parseGeneric(_ string, body []byte) (Push, error) {
	var p struct{ Repository, Branch, Before, After string }
	if err := decode(body, &p); err != nil {
		return Push{}, err
	}
	if strings.HasPrefix(p.Branch, "refs/") {
		branch, err := branchOf(p.Branch)
		if err != nil {
			return Push{}, err
		}
		p.Branch = branch
	}
	return Push{URLs: []string{p.Repository}, Branch: p.Branch, Before: p.Before, After: p.After}, nil
}
