//go:build !race

package plane

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
)

const (
	// managedBy labels the nodes that localplane made, and only those does it
	// count and delete.
	managedBy = "app.kubernetes.io/managed-by=localplane"
	// nodePrefix begins the name of such a node; a number from 1 follows.
	nodePrefix = "node-"
	// nodeWorkers is how many nodes are made or deleted at a time.
	nodeWorkers = 16
)

// syncNodes makes node-1 to node-N and deletes those with higher numbers that
// an earlier run made. A node that exists is left as it is.
func (p *plane) syncNodes(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(p.client(kwok))
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	nodes := client.CoreV1().Nodes()
	have, err := nodes.List(ctx, metav1.ListOptions{LabelSelector: managedBy})
	if err != nil {
		return fmt.Errorf("list nodes: %w", err)
	}
	work, ctx := errgroup.WithContext(ctx)
	work.SetLimit(nodeWorkers)
	exists := map[string]bool{}
	for _, node := range have.Items {
		exists[node.Name] = true
		if n := nodeNumber(node.Name); n >= 1 && n <= p.cfg.Nodes {
			continue
		}
		work.Go(func() error {
			err := nodes.Delete(ctx, node.Name, metav1.DeleteOptions{})
			if err != nil && !apierrors.IsNotFound(err) {
				return fmt.Errorf("delete node %s: %w", node.Name, err)
			}
			return nil
		})
	}
	for n := 1; n <= p.cfg.Nodes; n++ {
		node := simulatedNode(n)
		if exists[node.Name] {
			continue
		}
		work.Go(func() error {
			if _, err := nodes.Create(ctx, node, metav1.CreateOptions{}); err != nil {
				return fmt.Errorf("create node %s: %w", node.Name, err)
			}
			return nil
		})
	}
	return work.Wait()
}

// nodeNumber is the number in the name of a node, or 0.
func nodeNumber(name string) int {
	n, err := strconv.Atoi(strings.TrimPrefix(name, nodePrefix))
	if err != nil {
		return 0
	}
	return n
}

// simulatedNode is node number n, from 1. The nodes are spread over three
// zones, so that topology constraints have something to spread over. Their size
// is left to KWOK: more than any test fills.
func simulatedNode(n int) *corev1.Node {
	name := nodePrefix + strconv.Itoa(n)
	key, value, _ := strings.Cut(managedBy, "=")
	return &corev1.Node{ObjectMeta: metav1.ObjectMeta{
		Name:        name,
		Annotations: map[string]string{kwokAnnotation: "fake"},
		Labels: map[string]string{
			key:                            value,
			corev1.LabelHostname:           name,
			corev1.LabelOSStable:           "linux",
			corev1.LabelArchStable:         "amd64",
			"beta.kubernetes.io/os":        "linux", // else the node controller adds
			"beta.kubernetes.io/arch":      "amd64", // both, with a write for each node
			corev1.LabelTopologyRegion:     "local",
			corev1.LabelTopologyZone:       "local-" + string(rune('a'+(n-1)%3)),
			corev1.LabelInstanceTypeStable: "simulated",
		},
	}}
}

// waitUsable returns when a Pod that someone makes now would run: its service
// account is there, and so are the nodes.
func (p *plane) waitUsable(ctx context.Context) error {
	client, err := kubernetes.NewForConfig(p.client(admin))
	if err != nil {
		return fmt.Errorf("make a client: %w", err)
	}
	err = poll(ctx, pollInterval, "default service account", func(ctx context.Context) error {
		_, err := client.CoreV1().ServiceAccounts(metav1.NamespaceDefault).Get(ctx, "default", metav1.GetOptions{})
		return err
	})
	if err != nil {
		return err
	}
	// A list of many nodes is work for the server that makes them ready.
	every := pollInterval + time.Duration(p.cfg.Nodes)*time.Millisecond
	return poll(ctx, every, "nodes", func(ctx context.Context) error {
		nodes, err := client.CoreV1().Nodes().List(ctx, metav1.ListOptions{LabelSelector: managedBy})
		if err != nil {
			return err
		}
		ready := 0
		for _, node := range nodes.Items {
			if schedulable(&node) {
				ready++
			}
		}
		if ready < p.cfg.Nodes {
			return fmt.Errorf("%d of %d are ready", ready, p.cfg.Nodes)
		}
		return nil
	})
}

// schedulable says whether the scheduler would put a Pod on node.
func schedulable(node *corev1.Node) bool {
	for _, taint := range node.Spec.Taints {
		if taint.Effect != corev1.TaintEffectPreferNoSchedule {
			return false
		}
	}
	for _, c := range node.Status.Conditions {
		if c.Type == corev1.NodeReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}
