package cluster

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/target"
	"github.com/sengu-dev/sengu/internal/drift"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/render"
)

// kubeconfigKey is the key of the Secret that holds the kubeconfig.
const kubeconfigKey = "kubeconfig"

// link is a connection made from one set of credentials.
type link struct {
	fingerprint [sha256.Size]byte
	conn        *kube.Conn
	live        *drift.Watcher
	// target is nil until the cluster has been identified.
	target *target.Target
}

func (l *link) close() {
	l.live.Close()
	l.conn.Close()
}

// facts are what a cluster says of itself.
type facts struct {
	identity     string
	version      string
	capabilities render.Capabilities
}

// connect returns the link of a Cluster, made anew if its credentials changed.
func (r *Reconciler) connect(ctx context.Context, cluster *v1alpha1.Cluster) (*link, error) {
	name := client.ObjectKeyFromObject(cluster)
	config, fingerprint, err := r.credentials(ctx, cluster)
	if err != nil {
		return nil, err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.links[name]; l != nil {
		if l.fingerprint == fingerprint {
			return l, nil
		}
		l.close()
		delete(r.links, name)
		r.Targets.Block(name, fmt.Sprintf("the credentials of cluster %s changed and are being verified", cluster.Name))
	}
	conn, err := kube.Connect(config, kube.Options{Version: r.Version})
	if err != nil {
		return nil, err
	}
	l := &link{fingerprint: fingerprint, conn: conn}
	l.live = drift.New(conn, drift.Options{Key: r.Key, Notify: r.Changed, Health: r.Health, Logger: r.Log.With("cluster", cluster.Name)})
	r.links[name] = l
	return l, nil
}

// credentials reads how to reach a Cluster, with a fingerprint that changes when they do.
func (r *Reconciler) credentials(ctx context.Context, cluster *v1alpha1.Cluster) (*rest.Config, [sha256.Size]byte, error) {
	ref := cluster.Spec.KubeconfigSecretRef
	if ref == nil {
		return rest.CopyConfig(r.Home), sha256.Sum256([]byte("home")), nil
	}
	secret := &corev1.Secret{}
	if err := r.Client.Get(ctx, types.NamespacedName{Namespace: cluster.Namespace, Name: ref.Name}, secret); err != nil {
		return nil, [sha256.Size]byte{}, fmt.Errorf("read Secret %s that kubeconfigSecretRef names: %w", ref.Name, err)
	}
	data := secret.Data[kubeconfigKey]
	if len(data) == 0 {
		return nil, [sha256.Size]byte{}, errors.New("the Secret " + ref.Name + " that kubeconfigSecretRef names has no key " + kubeconfigKey)
	}
	config, err := kube.ConfigFromKubeconfig(data, r.AllowedExec)
	if err != nil {
		return nil, [sha256.Size]byte{}, fmt.Errorf("the Secret %s that kubeconfigSecretRef names: %w", ref.Name, err)
	}
	return config, sha256.Sum256(data), nil
}

// ask asks the cluster who it is. What cannot change while it is the same cluster and version is asked once.
func (l *link) ask(ctx context.Context) (facts, error) {
	ctx, cancel := context.WithTimeout(ctx, answerTimeout)
	defer cancel()
	identity, err := l.conn.Identity(ctx)
	if err != nil {
		return facts{}, err
	}
	version, err := l.conn.Version(ctx)
	if err != nil {
		return facts{}, err
	}
	if l.target != nil {
		return facts{identity: identity, version: version, capabilities: l.target.Capabilities}, nil
	}
	apiVersions, err := l.conn.APIVersions(ctx)
	if err != nil {
		return facts{}, err
	}
	return facts{identity, version, render.Capabilities{KubeVersion: version, APIVersions: apiVersions}}, nil
}
