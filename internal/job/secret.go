package job

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	corev1 "k8s.io/api/core/v1"

	"github.com/sengu-dev/sengu/internal/kube"
)

var secrets = kube.Resource{Kind: corev1.SchemeGroupVersion.WithKind("Secret"), Name: "secrets", Namespaced: true}

// secretsIn notes the names of the Secrets whose values a Pod can read.
func secretsIn(spec *corev1.PodSpec, names map[string]bool) {
	for _, c := range slices.Concat(spec.InitContainers, spec.Containers) {
		for _, from := range c.EnvFrom {
			if from.SecretRef != nil {
				names[from.SecretRef.Name] = true
			}
		}
		for _, env := range c.Env {
			if env.ValueFrom != nil && env.ValueFrom.SecretKeyRef != nil {
				names[env.ValueFrom.SecretKeyRef.Name] = true
			}
		}
	}
	for _, v := range spec.Volumes {
		if v.Secret != nil {
			names[v.Secret.SecretName] = true
		}
		if v.Projected == nil {
			continue
		}
		for _, source := range v.Projected.Sources {
			if source.Secret != nil {
				names[source.Secret.Name] = true
			}
		}
	}
	delete(names, "")
}

// valuesOf reads the values of a Secret.
func valuesOf(ctx context.Context, conn *kube.Conn, as kube.As, namespace, name string) ([][]byte, error) {
	body, err := conn.Do(ctx, kube.Request{Verb: "get", Path: secrets.Path(namespace, name), As: as})
	if err != nil {
		return nil, err
	}
	var secret corev1.Secret
	if json.Unmarshal(body, &secret) != nil {
		return nil, errors.New("a Secret cannot be read") // the decoder's error may quote it
	}
	values := make([][]byte, 0, len(secret.Data))
	for _, value := range secret.Data {
		values = append(values, value)
	}
	return values, nil
}
