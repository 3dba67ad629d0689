package job

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"strconv"

	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"

	"github.com/sengu-dev/sengu/internal/kube"
)

// maxPods is how many Pods of one Job are looked at.
const maxPods = 200

// podsOf lists the Pods of the Job of that name, at most maxPods.
func podsOf(ctx context.Context, conn *kube.Conn, as kube.As, namespace, name string) ([]corev1.Pod, error) {
	body, err := conn.Do(ctx, kube.Request{
		Verb: "list", Path: pods.Path(namespace, ""), As: as,
		Query: url.Values{"labelSelector": {batchv1.JobNameLabel + "=" + name}, "limit": {strconv.Itoa(maxPods)}},
	})
	if err != nil {
		return nil, err
	}
	var list corev1.PodList
	if json.Unmarshal(body, &list) != nil {
		return nil, errors.New("the Pods of the Job cannot be read")
	}
	return list.Items, nil
}

// podFrom reads what is looked at of a Pod.
func podFrom(u *unstructured.Unstructured) (corev1.Pod, bool) {
	unstructured.RemoveNestedField(u.Object, "metadata", "managedFields")
	var pod corev1.Pod
	err := runtime.DefaultUnstructuredConverter.FromUnstructured(u.Object, &pod)
	return pod, err == nil
}

// madeBy says whether the Job of that UID made the Pod.
func madeBy(pod *corev1.Pod, uid string) bool {
	for _, owner := range pod.OwnerReferences {
		if owner.Controller != nil && *owner.Controller && string(owner.UID) == uid {
			return true
		}
	}
	return false
}
