package server

import (
	"context"
	"crypto/rand"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/sengu-dev/sengu/internal/manifest"
)

const (
	keySecret = "sengu-key"
	hashKey   = "hash"
	renderKey = "render"
	keySize   = 32
)

// keys are the secrets of one installation.
type keys struct {
	// hash keys the hashes in statuses, so that they say nothing about what was hashed.
	hash manifest.Key
	// render encrypts the rendered results on disk.
	render []byte
}

// installationKey reads the keys of this installation from its Secret, and makes them at the first start. Whoever
// loses the Secret loses no state, but every digest: every object is compared anew, and the next commit releases every service anew.
func installationKey(ctx context.Context, config *rest.Config, namespace string) (keys, error) {
	set, err := kubernetes.NewForConfig(config)
	if err != nil {
		return keys{}, fmt.Errorf("connect to the home cluster: %w", err)
	}
	secrets := set.CoreV1().Secrets(namespace)
	secret, err := secrets.Get(ctx, keySecret, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		secret, err = makeKeys(ctx, set, namespace)
	}
	if err != nil {
		return keys{}, fmt.Errorf("read Secret %s/%s, which keeps Sengu's keys: %w", namespace, keySecret, err)
	}
	for _, name := range []string{hashKey, renderKey} {
		if len(secret.Data[name]) != keySize {
			return keys{}, fmt.Errorf("the Secret %s/%s must hold %d bytes in key %q: delete it, and Sengu makes a new one", namespace, keySecret, keySize, name)
		}
	}
	return keys{hash: manifest.Key(secret.Data[hashKey]), render: secret.Data[renderKey]}, nil
}

func makeKeys(ctx context.Context, set kubernetes.Interface, namespace string) (*corev1.Secret, error) {
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: keySecret, Namespace: namespace},
		Data:       map[string][]byte{hashKey: make([]byte, keySize), renderKey: make([]byte, keySize)},
	}
	for _, key := range secret.Data {
		if _, err := rand.Read(key); err != nil {
			return nil, fmt.Errorf("make a key: %w", err)
		}
	}
	made, err := set.CoreV1().Secrets(namespace).Create(ctx, secret, metav1.CreateOptions{})
	if apierrors.IsAlreadyExists(err) {
		return set.CoreV1().Secrets(namespace).Get(ctx, keySecret, metav1.GetOptions{})
	}
	return made, err
}
