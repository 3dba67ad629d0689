package herald

import (
	"context"
	"errors"
	"time"

	"github.com/sengu-dev/sengu/internal/forge"
	"github.com/sengu-dev/sengu/internal/notify"
	"github.com/sengu-dev/sengu/internal/notify/deployment"
)

// board is a forge as the sink for deployments wants it.
type board struct {
	forge.Forge
	branch string
	now    func() time.Time
}

var _ deployment.Forge = board{}

// SetDeployment is of deployment.Forge.
func (b board) SetDeployment(ctx context.Context, sha, environment, state, description, url string) error {
	if !b.Capabilities().Deployments {
		return errors.ErrUnsupported // the status of the commit says it
	}
	return b.explain(b.Forge.SetDeployment(ctx, forge.Deployment{
		SHA: sha, Environment: environment, Ref: b.branch, State: forge.DeploymentState(state), Description: description, LogURL: url,
	}))
}

// SetStatus is of deployment.Forge.
func (b board) SetStatus(ctx context.Context, sha, name, state, description, url string) error {
	return b.explain(b.Forge.SetStatus(ctx, sha, forge.Status{
		State: forge.StatusState(state), Context: name, Description: description, TargetURL: url,
	}))
}

// explain turns an error of a forge into one of notify.
func (b board) explain(err error) error {
	var limited *forge.RateLimited
	switch {
	case errors.As(err, &limited):
		return &notify.BusyError{After: limited.Until.Sub(b.now()), Reason: limited.Error()}
	case errors.Is(err, forge.ErrInvalid):
		return notify.Refused("%s", err)
	}
	return err
}
