package cli

import (
	"context"
	"fmt"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/kube"
)

// kubeconfigKey is the key of a Cluster's Secret that holds the kubeconfig.
const kubeconfigKey = "kubeconfig"

// execFlag adds the flag that lets the kubeconfigs of Clusters run commands for their credentials.
func execFlag(cmd *cobra.Command, allowed *[]string) {
	cmd.Flags().StringSliceVar(allowed, kube.ExecFlag[len("--"):], nil, "commands that the kubeconfig of a Cluster may run for credentials, such as aws")
}

// target connects to the cluster that a Cluster stands for, as Sengu does, and makes sure that it is that cluster.
func (pl *plane) target(ctx context.Context, cluster *v1alpha1.Cluster, allowedExec []string) (*kube.Conn, error) {
	config, err := pl.targetConfig(ctx, cluster, allowedExec)
	if err != nil {
		return nil, fmt.Errorf("cluster %s: %w", cluster.Name, err)
	}
	conn, err := kube.Connect(config, kube.Options{Version: versionOf().Version})
	if err != nil {
		return nil, fmt.Errorf("cluster %s: %w", cluster.Name, err)
	}
	identity, err := conn.Identity(ctx)
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("cluster %s does not answer: %w", cluster.Name, err)
	}
	pinned := cluster.Spec.Identity
	if pinned == "" {
		pinned = cluster.Status.Identity
	}
	if pinned != "" && pinned != identity {
		conn.Close()
		return nil, fmt.Errorf("cluster %s is not the cluster that it was (its kube-system namespace has UID %s, and %s is recorded): see `sengu get clusters`",
			cluster.Name, identity, pinned)
	}
	return conn, nil
}

func (pl *plane) targetConfig(ctx context.Context, cluster *v1alpha1.Cluster, allowedExec []string) (*rest.Config, error) {
	ref := cluster.Spec.KubeconfigSecretRef
	if ref == nil {
		return pl.config, nil
	}
	var secret corev1.Secret
	err := pl.Get(ctx, client.ObjectKey{Namespace: cluster.Namespace, Name: ref.Name}, &secret)
	switch {
	case apierrors.IsForbidden(err):
		return nil, fmt.Errorf("you may not read the Secret %s with its kubeconfig: ask for a Role that allows it", ref.Name)
	case err != nil:
		return nil, pl.explain("read the Secret "+ref.Name+" with its kubeconfig", err)
	case len(secret.Data[kubeconfigKey]) == 0:
		return nil, fmt.Errorf("the Secret %s has no key %s", ref.Name, kubeconfigKey)
	}
	config, err := kube.ConfigFromKubeconfig(secret.Data[kubeconfigKey], allowedExec)
	if err != nil {
		return nil, fmt.Errorf("the Secret %s: %w", ref.Name, err)
	}
	return config, nil
}
