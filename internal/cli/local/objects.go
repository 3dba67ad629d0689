package local

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	apiextensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/wait"
	yamlutil "k8s.io/apimachinery/pkg/util/yaml"
	clientscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/tools/clientcmd"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/crds"
	"github.com/sengu-dev/sengu/api/v1alpha1"
)

const (
	// Namespace is where Sengu's objects live on a local plane.
	Namespace = "sengu"
	// webhookSecret names the Secret that signs the webhooks of the Git server.
	webhookSecret = "local-webhook"
	// manager is the name under which the objects are applied.
	manager = client.FieldOwner("sengu-up")
)

// installer puts Sengu's objects on a plane.
type installer struct{ client.Client }

func newInstaller(kubeconfig string) (*installer, error) {
	config, err := clientcmd.BuildConfigFromFlags("", kubeconfig)
	if err != nil {
		return nil, fmt.Errorf("read kubeconfig %s: %w", kubeconfig, err)
	}
	s := runtime.NewScheme()
	if err := errors.Join(clientscheme.AddToScheme(s), v1alpha1.AddToScheme(s), apiextensions.AddToScheme(s)); err != nil {
		return nil, err
	}
	c, err := client.New(config, client.Options{Scheme: s})
	if err != nil {
		return nil, fmt.Errorf("use the plane of %s: %w", kubeconfig, err)
	}
	return &installer{c}, nil
}

// definitions installs the kinds of Sengu and returns when the API server serves them.
func (in *installer) definitions(ctx context.Context) error {
	files, err := fs.Glob(crds.Files, "*.yaml")
	if err != nil {
		return fmt.Errorf("list the kinds of Sengu: %w", err)
	}
	var names []string
	for _, file := range files {
		data, err := crds.Files.ReadFile(file)
		if err != nil {
			return fmt.Errorf("read the kinds of Sengu: %w", err)
		}
		var u unstructured.Unstructured
		if err := yamlutil.Unmarshal(data, &u.Object); err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
		if err := in.apply(ctx, &u); err != nil {
			return err
		}
		names = append(names, u.GetName())
	}
	for _, name := range names {
		if err := in.established(ctx, name); err != nil {
			return err
		}
	}
	return nil
}

func (in *installer) established(ctx context.Context, name string) error {
	err := wait.PollUntilContextTimeout(ctx, 50*time.Millisecond, time.Minute, true, func(ctx context.Context) (bool, error) {
		var crd apiextensions.CustomResourceDefinition
		if err := in.Get(ctx, client.ObjectKey{Name: name}, &crd); err != nil {
			return false, err
		}
		return slices.ContainsFunc(crd.Status.Conditions, func(c apiextensions.CustomResourceDefinitionCondition) bool {
			return c.Type == apiextensions.Established && c.Status == apiextensions.ConditionTrue
		}), nil
	})
	if err != nil {
		return fmt.Errorf("install %s: %w", name, err)
	}
	return nil
}

// apply applies one object, by force: a local plane is ours.
func (in *installer) apply(ctx context.Context, u *unstructured.Unstructured) error {
	err := in.Apply(ctx, client.ApplyConfigurationFromUnstructured(u), manager, client.ForceOwnership)
	if err != nil {
		return fmt.Errorf("apply %s %s: %w", u.GetKind(), u.GetName(), err)
	}
	return nil
}

// objects applies the namespace, the Secrets, the Clusters and the Fleets of d. Kubeconfigs are the files of the
// planes, by the name of the Cluster. It returns the secret that signs webhooks.
func (in *installer) objects(ctx context.Context, d declared, kubeconfig func(cluster string) string) (signing []byte, err error) {
	if err := in.applyTyped(ctx, &corev1.Namespace{
		TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Namespace"}, ObjectMeta: metav1.ObjectMeta{Name: Namespace},
	}); err != nil {
		return nil, err
	}
	if signing, err = in.webhookKey(ctx); err != nil {
		return nil, err
	}
	for _, k := range d.clusters {
		data, err := os.ReadFile(kubeconfig(k.GetName()))
		if err != nil {
			return nil, fmt.Errorf("read the kubeconfig of cluster %s: %w", k.GetName(), err)
		}
		name, err := kubeconfigSecret(k)
		if err != nil {
			return nil, err
		}
		if err := in.secret(ctx, name, "kubeconfig", data); err != nil {
			return nil, err
		}
	}
	for _, o := range slices.Concat(d.clusters, d.fleets) {
		o.SetNamespace(Namespace)
		if err := in.apply(ctx, o); err != nil {
			return nil, err
		}
	}
	return signing, nil
}

// webhookKey returns the secret that signs webhooks, which is made once.
func (in *installer) webhookKey(ctx context.Context) ([]byte, error) {
	var s corev1.Secret
	err := in.Get(ctx, client.ObjectKey{Namespace: Namespace, Name: webhookSecret}, &s)
	if err == nil && len(s.Data["secret"]) > 0 {
		return s.Data["secret"], nil
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return nil, fmt.Errorf("read Secret %s: %w", webhookSecret, err)
	}
	key := []byte(rand.Text())
	return key, in.secret(ctx, webhookSecret, "secret", key)
}

func (in *installer) secret(ctx context.Context, name, key string, value []byte) error {
	return in.applyTyped(ctx, &corev1.Secret{
		TypeMeta:   metav1.TypeMeta{APIVersion: "v1", Kind: "Secret"},
		ObjectMeta: metav1.ObjectMeta{Namespace: Namespace, Name: name},
		Data:       map[string][]byte{key: value},
	})
}

func (in *installer) applyTyped(ctx context.Context, o client.Object) error {
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(o)
	if err != nil {
		return fmt.Errorf("encode %s: %w", o.GetName(), err)
	}
	return in.apply(ctx, &unstructured.Unstructured{Object: object})
}

// Install installs the kinds of Sengu on the plane that a kubeconfig leads to.
func Install(ctx context.Context, kubeconfig string) error {
	in, err := newInstaller(kubeconfig)
	if err != nil {
		return err
	}
	return in.definitions(ctx)
}
