//go:build !race

package plane

import (
	"context"
	"fmt"
	"time"

	"k8s.io/kubernetes/cmd/kube-scheduler/app"
	"k8s.io/kubernetes/cmd/kube-scheduler/app/options"
)

// startScheduler starts the scheduler; it does not wait for it.
func (p *plane) startScheduler(context.Context) error {
	kubeconfig, err := p.componentKubeconfig(scheduler)
	if err != nil {
		return err
	}
	o := options.NewOptions()
	err = parseFlags(*o.Flags, []string{
		"--kubeconfig=" + kubeconfig,
		"--leader-elect=false",
		"--secure-port=0",
		"--profiling=false",
		"--kube-api-qps=2000",
		"--kube-api-burst=4000",
	})
	if err != nil {
		return fmt.Errorf("configure kube-scheduler: %w", err)
	}
	p.parts.Start("kube-scheduler", 4*time.Second, func(ctx context.Context) error { //nolint:contextcheck // a component outlives the start of the plane
		cc, s, err := app.Setup(ctx, o)
		if err != nil {
			return fmt.Errorf("configure: %w", err)
		}
		return app.Run(ctx, cc, s)
	})
	return nil
}
