//go:build !race

package plane

import (
	"context"
	"fmt"
	"strings"
	"time"

	"k8s.io/kubernetes/cmd/kube-controller-manager/app"
	"k8s.io/kubernetes/cmd/kube-controller-manager/app/options"
	"k8s.io/kubernetes/cmd/kube-controller-manager/names"
)

// startControllerManager starts the controllers; it does not wait for them.
func (p *plane) startControllerManager(context.Context) error {
	kubeconfig, err := p.componentKubeconfig(controllerManager)
	if err != nil {
		return err
	}
	o, err := options.NewKubeControllerManagerOptions()
	if err != nil {
		return fmt.Errorf("configure kube-controller-manager: %w", err)
	}
	known, off, aliases := app.KnownControllers(), app.ControllersDisabledByDefault(), app.ControllerAliases()
	if err := parseFlags(o.Flags(known, off, aliases), p.controllerManagerFlags(kubeconfig)); err != nil {
		return fmt.Errorf("configure kube-controller-manager: %w", err)
	}
	p.parts.Start("kube-controller-manager", 4*time.Second, func(ctx context.Context) error { //nolint:contextcheck // a component outlives the start of the plane
		c, err := o.Config(ctx, known, off, aliases)
		if err != nil {
			return fmt.Errorf("configure: %w", err)
		}
		return app.Run(ctx, c.Complete())
	})
	return nil
}

// controllerManagerFlags make it one of one, without a port of its own, and
// quick.
func (p *plane) controllerManagerFlags(kubeconfig string) []string {
	return []string{
		"--kubeconfig=" + kubeconfig,
		"--root-ca-file=" + p.pki.CACert,
		"--service-account-private-key-file=" + p.pki.ServiceAccountKey,
		"--service-cluster-ip-range=" + serviceRange,
		"--leader-elect=false",
		"--secure-port=0",
		"--profiling=false",
		"--kube-api-qps=2000",
		"--kube-api-burst=4000",
		"--controllers=" + strings.Join(enabledControllers(), ","),
		"--controller-shutdown-timeout=3s",
		// Simulated nodes say seldom that they live, and never die.
		"--node-monitor-period=30s",
		"--node-monitor-grace-period=24h",
	}
}

// enabledControllers are all but those whose work needs a cloud, a kubelet, real
// volumes, devices or several API servers.
func enabledControllers() []string {
	off := []string{
		names.CertificateSigningRequestSigningController,
		names.CertificateSigningRequestApprovingController,
		names.CertificateSigningRequestCleanerController,
		names.PodCertificateRequestCleanerController,
		names.KubeAPIServerClusterTrustBundlePublisherController,
		names.NodeIpamController,
		names.TTLController,
		names.TaintEvictionController,
		names.DeviceTaintEvictionController,
		names.PersistentVolumeAttachDetachController,
		names.PersistentVolumeExpanderController,
		names.EphemeralVolumeController,
		names.ResourceClaimController,
		names.StorageVersionGarbageCollectorController,
		names.StorageVersionMigratorController,
		names.LegacyServiceAccountTokenCleanerController,
	}
	list := make([]string, 0, 1+len(off))
	list = append(list, "*")
	for _, name := range off {
		list = append(list, "-"+name)
	}
	return list
}
