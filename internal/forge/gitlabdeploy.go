package forge

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

type gitLabStatus struct {
	ID          int64  `json:"id,omitempty"`
	Status      string `json:"status,omitempty"`
	State       string `json:"state,omitempty"` // what status is called when it is set
	Name        string `json:"name"`
	Description string `json:"description"`
	TargetURL   string `json:"target_url,omitempty"`
}

// gitLabStates are GitLab's words for the states of a status.
var gitLabStates = map[StatusState]string{
	StatusPending: "pending", StatusSuccess: "success", StatusFailure: "failed", StatusError: "failed",
}

// SetStatus implements Forge. It reads first, because GitLab refuses to set a state that is set already.
func (g *gitLab) SetStatus(ctx context.Context, sha string, s Status) error {
	if err := s.validate(sha); err != nil {
		return err
	}
	op := "set status " + s.Context + " of commit " + sha[:12]
	want := gitLabStatus{
		State: gitLabStates[s.State], Name: s.Context, Description: oneLine(s.Description, maxDescription), TargetURL: s.TargetURL,
	}
	// A commit has a status of one name in each of its pipelines; the newest is the one that counts.
	var last gitLabStatus
	k := call{
		op: op, needs: gitLabNeedsToRead, path: g.path("repository", "commits", sha, "statuses"), query: g.query(url.Values{"name": {s.Context}}),
	}
	err := all(ctx, g.c, k, func(old gitLabStatus) {
		if old.Name == s.Context && old.ID >= last.ID {
			last = old
		}
	})
	if err != nil {
		return err
	}
	if last.Status == want.State && last.Description == want.Description && last.TargetURL == want.TargetURL {
		return nil
	}
	_, err = g.c.do(ctx, call{op: op, needs: gitLabNeeds, method: http.MethodPost, path: g.path("statuses", sha), body: want})
	var refused *Error
	if s.State == StatusPending && last.Status == want.State && errors.As(err, &refused) && strings.Contains(refused.Detail, "Cannot transition") {
		// What is pending cannot be made pending with other words.
		return nil
	}
	return err
}

type gitLabDeployment struct {
	ID          int64  `json:"id"`
	SHA         string `json:"sha"`
	Status      string `json:"status"`
	Environment named  `json:"environment"`
	// Deployable is the job of a pipeline, whose deployments nobody else may change.
	Deployable *struct{} `json:"deployable"`
}

func (d gitLabDeployment) underWay() bool { return d.Status == "created" || d.Status == "running" }

// SetDeployment implements Forge.
func (g *gitLab) SetDeployment(ctx context.Context, d Deployment) error {
	if err := d.validate(); err != nil || d.State == DeploymentQueued {
		return err
	}
	op := "set the deployment of " + d.SHA[:12] + " to " + d.Environment
	have, found, err := g.newest(ctx, op, d)
	if err != nil {
		return err
	}
	status := map[DeploymentState]string{
		DeploymentInProgress: "running", DeploymentSuccess: "success", DeploymentFailure: "failed", DeploymentInactive: "canceled",
	}[d.State]
	switch {
	case d.State == DeploymentInactive && (!found || !have.underWay()), found && have.Status == status:
		return nil
	case !found, d.begins() && !have.underWay():
		ref := d.Ref
		if ref == "" {
			ref = d.SHA
		}
		_, err = g.c.do(ctx, call{
			op: op, needs: gitLabNeeds, method: http.MethodPost, path: g.path("deployments"),
			body: map[string]any{"environment": d.Environment, "sha": d.SHA, "ref": ref, "tag": false, "status": status},
		})
		return err
	}
	_, err = g.c.do(ctx, call{
		op: op, needs: gitLabNeeds, method: http.MethodPut, path: g.path("deployments", strconv.FormatInt(have.ID, 10)),
		body: map[string]any{"status": status},
	})
	return err
}

// newest finds the deployment that is meant among the last of the environment: one that begins is the newest, if it is of
// the commit.
func (g *gitLab) newest(ctx context.Context, op string, d Deployment) (gitLabDeployment, bool, error) {
	var list []gitLabDeployment
	_, err := g.c.do(ctx, call{
		op: op, needs: gitLabNeedsToRead, method: http.MethodGet, path: g.path("deployments"), read: into(&list),
		query: url.Values{"environment": {d.Environment}, "order_by": {"id"}, "sort": {"desc"}, "per_page": {"20"}},
	})
	if err != nil {
		return gitLabDeployment{}, false, err
	}
	for _, have := range list {
		if have.Deployable != nil || have.Environment.Name != d.Environment {
			continue
		}
		if have.SHA == d.SHA {
			return have, true, nil
		}
		if d.begins() {
			break
		}
	}
	return gitLabDeployment{}, false, nil
}
