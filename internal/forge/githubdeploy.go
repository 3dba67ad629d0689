package forge

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
)

type gitHubDeployment struct {
	ID          int64  `json:"id"`
	SHA         string `json:"sha"`
	Environment string `json:"environment"`
}

type gitHubDeploymentStatus struct {
	State          string `json:"state"`
	Description    string `json:"description"`
	LogURL         string `json:"log_url,omitempty"`
	EnvironmentURL string `json:"environment_url,omitempty"`
}

// over are the states after which a deployment goes on no more.
var over = []string{"success", "failure", "error", "inactive"}

// SetDeployment implements Forge.
func (g *gitHub) SetDeployment(ctx context.Context, d Deployment) error {
	if err := d.validate(); err != nil {
		return err
	}
	op := "set the deployment of " + d.SHA[:12] + " to " + d.Environment
	want := gitHubDeploymentStatus{
		State: string(d.State), Description: oneLine(d.Description, maxDescription), LogURL: d.LogURL, EnvironmentURL: d.EnvironmentURL,
	}
	have, found, err := g.newest(ctx, op, d)
	if err != nil {
		return err
	}
	last := gitHubDeploymentStatus{}
	if found {
		if last, err = g.lastStatus(ctx, op, have.ID); err != nil {
			return err
		}
	}
	switch {
	case !found && d.State == DeploymentInactive, found && last == want:
		return nil
	case !found, d.begins() && slices.Contains(over, last.State):
		if have, err = g.deploy(ctx, op, d); err != nil {
			return err
		}
	}
	_, err = g.c.do(ctx, call{
		op: op, needs: g.needs.deployments, method: http.MethodPost, body: want,
		path: g.path("deployments", strconv.FormatInt(have.ID, 10), "statuses"),
	})
	return err
}

// newest finds the deployment that is meant: one that begins is the newest of the environment, if it is of the commit.
func (g *gitHub) newest(ctx context.Context, op string, d Deployment) (gitHubDeployment, bool, error) {
	query := url.Values{"environment": {d.Environment}, "per_page": {"1"}}
	if !d.begins() {
		query.Set("sha", d.SHA)
	}
	var list []gitHubDeployment
	_, err := g.c.do(ctx, call{
		op: op, needs: g.needs.deployments, method: http.MethodGet, path: g.path("deployments"), query: query, read: into(&list),
	})
	if err != nil || len(list) == 0 || list[0].SHA != d.SHA || list[0].Environment != d.Environment {
		return gitHubDeployment{}, false, err
	}
	return list[0], true, nil
}

func (g *gitHub) lastStatus(ctx context.Context, op string, id int64) (gitHubDeploymentStatus, error) {
	var list []gitHubDeploymentStatus
	_, err := g.c.do(ctx, call{
		op: op, needs: g.needs.deployments, method: http.MethodGet, read: into(&list),
		path: g.path("deployments", strconv.FormatInt(id, 10), "statuses"), query: url.Values{"per_page": {"1"}},
	})
	if err != nil || len(list) == 0 {
		return gitHubDeploymentStatus{}, err
	}
	return list[0], nil
}

// deploy makes a deployment. What GitHub would check or merge first is not its business: Sengu has gates of its own.
func (g *gitHub) deploy(ctx context.Context, op string, d Deployment) (gitHubDeployment, error) {
	var made gitHubDeployment
	_, err := g.c.do(ctx, call{
		op: op, needs: g.needs.deployments, method: http.MethodPost, path: g.path("deployments"), read: into(&made),
		body: map[string]any{
			"ref": d.SHA, "environment": d.Environment, "description": oneLine(d.Description, maxDescription),
			"auto_merge": false, "required_contexts": []string{},
		},
	})
	return made, err
}
