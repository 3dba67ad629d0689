package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/health"
	"github.com/sengu-dev/sengu/internal/kube"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// node is one object of a tree.
type node struct {
	Group     string                `json:"group,omitempty"`
	Kind      string                `json:"kind"`
	Namespace string                `json:"namespace,omitempty"`
	Name      string                `json:"name"`
	Health    v1alpha1.HealthStatus `json:"health"`
	Message   string                `json:"message,omitempty"`
	Drift     *v1alpha1.Drift       `json:"drift,omitempty"`
	Age       string                `json:"age,omitempty"`
	Children  []*node               `json:"children,omitempty"`

	uid string
	// nested says that the node stands below its owner, in the same namespace.
	nested bool
}

// label names n; below an owner without the namespace, which is the same.
func (n *node) label() string {
	if n.nested {
		return n.Kind + " " + n.Name
	}
	return manifest.Ref{Kind: n.Kind, Namespace: n.Namespace, Name: n.Name}.String()
}

// remarks is what there is to say about n beside its health.
func (n *node) remarks() []string {
	var words []string
	if n.Drift != nil {
		words = append(words, driftText(*n.Drift))
	}
	if n.Message != "" && n.Health != v1alpha1.Healthy {
		words = append(words, n.Message)
	}
	if len(words) == 0 && n.Age != "" {
		words = append(words, n.Age)
	}
	return words
}

// driftText says what differs in one object.
func driftText(d v1alpha1.Drift) string {
	text := "drifted"
	if len(d.Fields) > 0 {
		text += " in " + list(d.Fields)
	}
	if d.Manager != "" {
		text += ", changed by " + d.Manager
	}
	return text
}

// parallel is how many objects are read at once.
const parallel = 16

// grower reads a tree from a cluster.
type grower struct {
	conn *kube.Conn
	now  time.Time
	all  bool
	// rules are those by which the service judges its objects.
	rules health.Rules
}

// roots reads the objects of the inventory, in its order of kinds and names.
func (g grower) roots(ctx context.Context, app *v1alpha1.App) ([]*node, error) {
	drift := map[string]*v1alpha1.Drift{}
	for i := range app.Status.Drift {
		drift[app.Status.Drift[i].ID] = &app.Status.Drift[i]
	}
	nodes := make([]*node, len(app.Status.Inventory))
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(parallel)
	for i, entry := range app.Status.Inventory {
		group.Go(func() error {
			n, err := g.root(ctx, entry)
			if err != nil {
				return err
			}
			n.Drift = drift[entry.ID]
			nodes[i] = n
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	slices.SortFunc(nodes, byName)
	return nodes, nil
}

func byName(a, b *node) int {
	return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Namespace, b.Namespace), cmp.Compare(a.Name, b.Name))
}

// root reads one object of the inventory.
func (g grower) root(ctx context.Context, entry v1alpha1.InventoryEntry) (*node, error) {
	ref, err := manifest.ParseID(entry.ID)
	if err != nil {
		return nil, fmt.Errorf("read the inventory: %w", err)
	}
	n := &node{Group: ref.Group, Kind: ref.Kind, Namespace: ref.Namespace, Name: ref.Name, uid: entry.UID}
	resource, err := g.conn.Mapping(ctx, schema.GroupVersionKind{Group: ref.Group, Version: version(entry.V), Kind: ref.Kind})
	var unknown *kube.UnknownKindError
	if errors.As(err, &unknown) {
		n.Health, n.Message = v1alpha1.Missing, unknown.Error()
		return n, nil
	}
	if err != nil {
		return nil, err
	}
	u, err := g.conn.Get(ctx, resource, ref.Namespace, ref.Name, kube.As{})
	switch {
	case apierrors.IsNotFound(err):
		n.Health, n.Message = v1alpha1.Missing, "it is gone from the cluster"
	case apierrors.IsForbidden(err):
		n.Health, n.Message = v1alpha1.HealthUnknown, "you may not read it"
	case err != nil:
		return nil, fmt.Errorf("read %s: %w", ref, err)
	default:
		g.judge(n, u)
		if s, ruled := g.rules.Of(u); ruled {
			n.Health, n.Message = s.Status, s.Message
		}
	}
	return n, nil
}

// version is the version in the V of an inventory entry, which may name the group as well.
func version(v string) string {
	gv, err := schema.ParseGroupVersion(v)
	if err != nil {
		return ""
	}
	return gv.Version
}

// judge fills n with what u is.
func (g grower) judge(n *node, u *unstructured.Unstructured) {
	n.uid = string(u.GetUID())
	n.Age = age(g.now, u.GetCreationTimestamp().Time)
	s := health.Of(u)
	n.Health, n.Message = s.Status, s.Message
}

// below are the kinds that stand below others.
var below = []schema.GroupVersionKind{
	{Group: "apps", Version: "v1", Kind: "ReplicaSet"},
	{Group: "batch", Version: "v1", Kind: "Job"},
	{Version: "v1", Kind: "Pod"},
}

// children hangs what the objects own below them.
func (g grower) children(ctx context.Context, roots []*node) error {
	at := map[string]*node{}
	var namespaces []string
	for _, n := range roots {
		at[n.uid] = n
		if n.Namespace != "" && !slices.Contains(namespaces, n.Namespace) {
			namespaces = append(namespaces, n.Namespace)
		}
	}
	for _, gvk := range below {
		resource, err := g.conn.Mapping(ctx, gvk)
		if err != nil {
			return err
		}
		for _, namespace := range namespaces {
			_, err := g.conn.List(ctx, resource, namespace, kube.Selector{}, func(u *unstructured.Unstructured) error {
				g.hang(at, u)
				return nil
			})
			if err != nil {
				return fmt.Errorf("list %s of namespace %s: %w", resource.Name, namespace, err)
			}
		}
	}
	for _, n := range at {
		n.Children = slices.DeleteFunc(n.Children, g.empty)
		slices.SortFunc(n.Children, byName)
	}
	return nil
}

// hang puts u below its owner if that is in the tree, and u itself is not.
func (g grower) hang(at map[string]*node, u *unstructured.Unstructured) {
	if at[string(u.GetUID())] != nil {
		return
	}
	for _, owner := range u.GetOwnerReferences() {
		parent := at[string(owner.UID)]
		if parent == nil {
			continue
		}
		gvk := u.GroupVersionKind()
		n := &node{Group: gvk.Group, Kind: gvk.Kind, Namespace: u.GetNamespace(), Name: u.GetName(), nested: true}
		g.judge(n, u)
		if gvk.Kind == "Pod" {
			g.judgePod(n, u)
		}
		parent.Children = append(parent.Children, n)
		at[n.uid] = n
		return
	}
}

// judgePod says the reason of a Pod in trouble in the words of Kubernetes.
func (g grower) judgePod(n *node, u *unstructured.Unstructured) {
	var pod corev1.Pod
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &pod); err != nil {
		return
	}
	if trouble, ok := health.WorstPod([]corev1.Pod{pod}, g.now); ok {
		n.Message = trouble.Reason
		if trouble.Message != "" {
			n.Message += ": " + trouble.Message
		}
		if n.Health == v1alpha1.Healthy {
			n.Health = v1alpha1.Progressing
		}
	}
}

// empty says whether n is a ReplicaSet of an older version, which has no Pods.
func (g grower) empty(n *node) bool {
	return !g.all && n.nested && n.Kind == "ReplicaSet" && len(n.Children) == 0 && n.Health == v1alpha1.Healthy
}
