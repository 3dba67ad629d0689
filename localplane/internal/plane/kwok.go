//go:build !race

package plane

import (
	"context"
	"fmt"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/utils/clock"
	"sigs.k8s.io/kwok/kustomize/stage/node/fast"
	heartbeat "sigs.k8s.io/kwok/kustomize/stage/node/heartbeat-with-lease"
	podfast "sigs.k8s.io/kwok/kustomize/stage/pod/fast"
	"sigs.k8s.io/kwok/pkg/apis/internalversion"
	"sigs.k8s.io/kwok/pkg/apis/v1alpha1"
	"sigs.k8s.io/kwok/pkg/client/clientset/versioned"
	"sigs.k8s.io/kwok/pkg/kwok/controllers"
	kwoklog "sigs.k8s.io/kwok/pkg/log"
	"sigs.k8s.io/kwok/pkg/utils/client"
	"sigs.k8s.io/yaml"
)

const (
	// kwokAnnotation marks the nodes that KWOK simulates; others are left to
	// whoever made them.
	kwokAnnotation = "kwok.x-k8s.io/node"
	// holdAnnotation on a Pod keeps it Pending (see the manual).
	holdAnnotation = "localplane.sengu.dev/hold"
	// podRange is where simulated Pods get their addresses.
	podRange = "10.244.0.0/16"
)

// startKWOK makes the simulated nodes and lets KWOK play the part of their
// kubelets. It does not wait for them to be Ready.
func (p *plane) startKWOK(ctx context.Context) error {
	if err := p.syncNodes(ctx); err != nil {
		return err
	}
	kubeconfig, err := p.componentKubeconfig(kwok)
	if err != nil {
		return err
	}
	conf, err := kwokConfig(kubeconfig)
	if err != nil {
		return fmt.Errorf("configure KWOK: %w", err)
	}
	c, err := controllers.NewController(conf)
	if err != nil {
		return fmt.Errorf("configure KWOK: %w", err)
	}
	logger := kwoklog.NewLogger(p.log, kwoklog.LevelWarn)
	p.parts.Start("KWOK", time.Second, func(ctx context.Context) error { //nolint:contextcheck // a component outlives the start of the plane
		if err := c.Start(kwoklog.NewContext(ctx, logger)); err != nil {
			return err
		}
		<-ctx.Done()
		return nil
	})
	return nil
}

// kwokConfig is one controller for all simulated nodes. It keeps no leases for
// them: renewing those is the largest part of what an idle control plane does,
// and nobody here decides by them.
func kwokConfig(kubeconfig string) (controllers.Config, error) {
	stages, err := stages()
	if err != nil {
		return controllers.Config{}, err
	}
	set, err := client.NewClientset("", kubeconfig)
	if err != nil {
		return controllers.Config{}, err
	}
	conf := controllers.Config{
		Clock:                             clock.RealClock{},
		ImpersonatingDynamicClient:        set.ToImpersonatingDynamicClient(),
		ImpersonatingTypedClient:          set.ToImpersonatingTypedClient(),
		ManageNodesWithAnnotationSelector: kwokAnnotation + "=fake",
		CIDR:                              podRange,
		NodeIP:                            "127.0.0.1",
		NodeName:                          "localplane",
		LocalStages:                       stages,
		PodPlayStageParallelism:           16,
		NodePlayStageParallelism:          8,
		PodsOnNodeSyncParallelism:         4,
		ID:                                "localplane",
	}
	return conf, kwokClients(&conf, set)
}

// kwokClients fills in the clients.
func kwokClients(conf *controllers.Config, set client.Clientset) (err error) {
	restConfig, err := set.ToRESTConfig()
	if err != nil {
		return err
	}
	if conf.DynamicClient, err = set.ToDynamicClient(); err != nil {
		return err
	}
	if conf.RESTMapper, err = set.ToRESTMapper(); err != nil {
		return err
	}
	if conf.RESTClient, err = rest.RESTClientFor(restConfig); err != nil {
		return err
	}
	if conf.TypedClient, err = kubernetes.NewForConfig(restConfig); err != nil {
		return err
	}
	conf.TypedKwokClient, err = versioned.NewForConfig(restConfig)
	return err
}

// stages are what happens to simulated nodes and Pods, as KWOK ships them, but
// that a Pod which is held does not start.
func stages() (map[internalversion.StageResourceRef][]*internalversion.Stage, error) {
	byKind := map[internalversion.StageResourceRef][]*internalversion.Stage{}
	for _, s := range []struct {
		text string
		held bool
	}{
		{text: fast.DefaultNodeInit},
		{text: heartbeat.DefaultNodeHeartbeatWithLease},
		{text: podfast.DefaultPodReady, held: true},
		{text: podfast.DefaultPodComplete, held: true},
		{text: podfast.DefaultPodDelete},
	} {
		var stage v1alpha1.Stage
		if err := yaml.Unmarshal([]byte(s.text), &stage); err != nil {
			return nil, fmt.Errorf("read stage: %w", err)
		}
		if s.held {
			stage.Spec.Selector.MatchExpressions = append(stage.Spec.Selector.MatchExpressions, notHeld())
		}
		internal, err := internalversion.ConvertToInternalStage(&stage)
		if err != nil {
			return nil, fmt.Errorf("read stage %s: %w", stage.Name, err)
		}
		byKind[internal.Spec.ResourceRef] = append(byKind[internal.Spec.ResourceRef], internal)
	}
	return byKind, nil
}

// notHeld matches what does not carry holdAnnotation.
func notHeld() v1alpha1.MatchExpression {
	return v1alpha1.MatchExpression{
		JQ: &v1alpha1.SelectorJQ{
			Key:      fmt.Sprintf(".metadata.annotations[%q]", holdAnnotation),
			Operator: v1alpha1.SelectorOpDoesNotExist,
		},
	}
}
