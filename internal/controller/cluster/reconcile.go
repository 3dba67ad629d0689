package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"

	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/target"
)

const (
	// checkInterval is how often a cluster that answers is asked who it is.
	checkInterval = 30 * time.Second
	// retryInterval is how often one that does not answer is.
	retryInterval = 5 * time.Second
	// answerTimeout bounds one question.
	answerTimeout = 10 * time.Second
)

// Reconcile connects one Cluster, or finds out that it is still connected.
func (r *Reconciler) Reconcile(ctx context.Context, req ctrl.Request) (_ ctrl.Result, err error) {
	cluster := &v1alpha1.Cluster{}
	if err := r.Client.Get(ctx, req.NamespacedName, cluster); err != nil {
		if client.IgnoreNotFound(err) == nil {
			r.disconnect(req.NamespacedName)
			r.Targets.Forget(req.NamespacedName)
		}
		return ctrl.Result{}, client.IgnoreNotFound(err)
	}
	before := cluster.DeepCopy()
	defer func() {
		if patchErr := r.patchStatus(ctx, before, cluster); patchErr != nil && err == nil {
			err = patchErr
		}
	}()
	cluster.Status.ObservedGeneration = cluster.Generation

	link, err := r.connect(ctx, cluster)
	if err != nil {
		r.fail(cluster, v1alpha1.ConditionReachable, "NotConnected", fmt.Sprintf("cluster %s cannot be connected: %v", cluster.Name, err))
		return ctrl.Result{RequeueAfter: retryInterval}, nil
	}
	facts, err := link.ask(ctx)
	if err != nil {
		r.fail(cluster, v1alpha1.ConditionReachable, "Unreachable", fmt.Sprintf("cluster %s does not answer: %v", cluster.Name, err))
		return ctrl.Result{RequeueAfter: retryInterval}, nil
	}
	r.succeed(cluster, v1alpha1.ConditionReachable, "Answers", "the API server answers")
	if err := identify(cluster, facts.identity); err != nil {
		r.disconnect(req.NamespacedName)
		r.fail(cluster, v1alpha1.ConditionIdentified, "AnotherCluster", err.Error())
		return ctrl.Result{RequeueAfter: checkInterval}, nil
	}
	r.succeed(cluster, v1alpha1.ConditionIdentified, "SameCluster", "the cluster is the one that this name stands for")
	cluster.Status.Version = facts.version
	if cluster.Spec.Suspend {
		r.fail(cluster, v1alpha1.ConditionReady, "Suspended", fmt.Sprintf("cluster %s is suspended: set spec.suspend to false to go on", cluster.Name))
		return ctrl.Result{RequeueAfter: checkInterval}, nil
	}
	// The identity is stored before the first write goes through the connection.
	if err := r.patchStatus(ctx, before, cluster); err != nil {
		return ctrl.Result{}, err
	}
	before = cluster.DeepCopy()
	if err := r.publish(cluster, link, facts); err != nil {
		r.fail(cluster, v1alpha1.ConditionReady, "KindsUnreadable", err.Error())
		return ctrl.Result{RequeueAfter: checkInterval}, nil
	}
	r.succeed(cluster, v1alpha1.ConditionReady, "Connected", "the cluster is connected")
	cluster.Status.Why = nil
	return ctrl.Result{RequeueAfter: checkInterval}, nil
}

// publish makes the connection usable, with a watch of every kind that the cluster may hold objects of ours of.
func (r *Reconciler) publish(cluster *v1alpha1.Cluster, l *link, facts facts) error {
	name := client.ObjectKeyFromObject(cluster)
	if l.target == nil {
		l.target = &target.Target{Name: name, Conn: l.conn, Live: l.live, Capabilities: facts.capabilities, Since: r.Now()}
	}
	for _, kind := range cluster.Status.Kinds {
		gvk, err := target.ParseKind(kind)
		if err != nil {
			return err
		}
		l.live.Track(gvk)
	}
	r.Targets.Put(l.target, cluster.Status.Kinds)
	return nil
}

// identify compares who a cluster is with who its name stands for. The first cluster that a name is seen to stand for
// is the one it goes on standing for.
func identify(cluster *v1alpha1.Cluster, identity string) error {
	pinned := cluster.Status.Identity
	if cluster.Spec.Identity != "" {
		pinned = cluster.Spec.Identity
	}
	if pinned != "" && pinned != identity {
		return errors.New("the credentials of cluster " + cluster.Name + " now lead to another cluster (its kube-system namespace has the UID " +
			identity + ", not " + pinned + "): nothing is written; if this is meant, set spec.identity to " + identity)
	}
	cluster.Status.Identity = identity
	return nil
}

func (r *Reconciler) succeed(cluster *v1alpha1.Cluster, condition, reason, message string) {
	meta.SetStatusCondition(&cluster.Status.Conditions, metav1.Condition{
		Type: condition, Status: metav1.ConditionTrue, Reason: reason, Message: message, ObservedGeneration: cluster.Generation,
	})
}

// fail says why the cluster cannot be written to, to people and to the Apps.
func (r *Reconciler) fail(cluster *v1alpha1.Cluster, condition, reason, message string) {
	for _, c := range []string{condition, v1alpha1.ConditionReady} {
		meta.SetStatusCondition(&cluster.Status.Conditions, metav1.Condition{
			Type: c, Status: metav1.ConditionFalse, Reason: reason, Message: message, ObservedGeneration: cluster.Generation,
		})
	}
	cluster.Status.Why = v1alpha1.Because(cluster.Status.Why, message, r.Now())
	r.Targets.Block(client.ObjectKeyFromObject(cluster), message)
}

func (r *Reconciler) patchStatus(ctx context.Context, before, after *v1alpha1.Cluster) error {
	if equality.Semantic.DeepEqual(before.Status, after.Status) {
		return nil
	}
	// The list of kinds grows while this runs, and belongs to whoever applies: it is left out of this patch.
	patched := after.DeepCopy()
	patched.Status.Kinds = before.Status.Kinds
	if err := r.Client.Status().Patch(ctx, patched, client.MergeFrom(before)); err != nil {
		return client.IgnoreNotFound(fmt.Errorf("write status of cluster %s: %w", after.Name, err))
	}
	return nil
}

func (r *Reconciler) disconnect(name types.NamespacedName) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if l := r.links[name]; l != nil {
		l.close()
		delete(r.links, name)
	}
}
