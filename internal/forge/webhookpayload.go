package forge

import (
	"encoding/json"
	"fmt"
	"strings"
)

// hubEvent is what GitHub and Gitea send about a pull request.
type hubEvent struct {
	Action      string  `json:"action"`
	PullRequest hubPull `json:"pull_request"`
	Repository  struct {
		FullName string `json:"full_name"`
		CloneURL string `json:"clone_url"`
		SSHURL   string `json:"ssh_url"`
		HTMLURL  string `json:"html_url"`
	} `json:"repository"`
}

// hubActions are the words of GitHub and Gitea. What is not here, such as a label, changes nothing for Sengu.
var hubActions = map[string]Action{
	"opened": ActionOpened, "reopened": ActionReopened, "edited": ActionEdited, "ready_for_review": ActionEdited, "converted_to_draft": ActionEdited,
	"synchronize": ActionPushed, "synchronized": ActionPushed, "closed": ActionClosed,
}

// reviewActions are the words of GitHub for the event pull_request_review.
var reviewActions = map[string]Action{"submitted": ActionReviewed, "edited": ActionReviewed, "dismissed": ActionReviewed}

func parseGitHub(event string, body []byte) (Event, error) {
	switch event {
	case "pull_request":
		return parseHub(GitHub, body, hubActions)
	case "pull_request_review":
		return parseHub(GitHub, body, reviewActions)
	}
	return Event{}, ErrWebhookIgnored
}

func parseGitea(event string, body []byte) (Event, error) {
	switch event {
	case "pull_request":
		return parseHub(Gitea, body, hubActions)
	case "pull_request_approved", "pull_request_rejected":
		return parseHub(Gitea, body, map[string]Action{"reviewed": ActionReviewed})
	}
	return Event{}, ErrWebhookIgnored
}

func parseHub(kind Kind, body []byte, actions map[string]Action) (Event, error) {
	var p hubEvent
	if err := json.Unmarshal(body, &p); err != nil {
		return Event{}, fmt.Errorf("%w: it is not the JSON that it should be", ErrWebhookMalformed)
	}
	action, ok := actions[p.Action]
	if !ok {
		return Event{}, ErrWebhookIgnored
	}
	if action == ActionClosed && p.PullRequest.Merged {
		action = ActionMerged
	}
	head := p.PullRequest.Head
	return Event{
		Kind: kind, Action: action, Repository: p.Repository.FullName,
		URLs:   []string{p.Repository.CloneURL, p.Repository.SSHURL, p.Repository.HTMLURL},
		Number: p.PullRequest.Number, Head: head.Ref, HeadSHA: head.SHA, Base: p.PullRequest.Base.Ref,
		Fork: head.Repo == nil || !strings.EqualFold(head.Repo.FullName, p.Repository.FullName),
	}, nil
}

// gitLabActions are GitLab's words. An update is ActionPushed or ActionEdited; what else it may be, such as a label, is told by it
// only in passing, and looking once more is cheap.
var gitLabActions = map[string]Action{
	"open": ActionOpened, "reopen": ActionReopened, "update": ActionEdited, "close": ActionClosed, "merge": ActionMerged,
	"approved": ActionReviewed, "unapproved": ActionReviewed, "approval": ActionReviewed, "unapproval": ActionReviewed,
}

func parseGitLab(event string, body []byte) (Event, error) {
	var p struct {
		Kind    string `json:"object_kind"`
		Project struct {
			FullName string `json:"path_with_namespace"`
			HTTP     string `json:"git_http_url"`
			SSH      string `json:"git_ssh_url"`
			Web      string `json:"web_url"`
		} `json:"project"`
		Merge struct {
			Number      int    `json:"iid"`
			Action      string `json:"action"`
			OldRevision string `json:"oldrev"`
			Source      string `json:"source_branch"`
			Target      string `json:"target_branch"`
			FromProject int64  `json:"source_project_id"`
			ToProject   int64  `json:"target_project_id"`
			LastCommit  struct {
				ID string `json:"id"`
			} `json:"last_commit"`
		} `json:"object_attributes"`
	}
	if event != "Merge Request Hook" && event != "System Hook" {
		return Event{}, ErrWebhookIgnored
	}
	if err := json.Unmarshal(body, &p); err != nil {
		return Event{}, fmt.Errorf("%w: it is not the JSON that it should be", ErrWebhookMalformed)
	}
	action, ok := gitLabActions[p.Merge.Action]
	if !ok || p.Kind != "merge_request" {
		return Event{}, ErrWebhookIgnored
	}
	if action == ActionEdited && p.Merge.OldRevision != "" {
		action = ActionPushed
	}
	return Event{
		Kind: GitLab, Action: action, Repository: p.Project.FullName,
		URLs: []string{p.Project.HTTP, p.Project.SSH, p.Project.Web}, Number: p.Merge.Number,
		Head: p.Merge.Source, HeadSHA: p.Merge.LastCommit.ID, Base: p.Merge.Target,
		Fork: p.Merge.FromProject != p.Merge.ToProject,
	}, nil
}
