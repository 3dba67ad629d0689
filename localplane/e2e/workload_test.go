package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// What tests of other packages rely on, on one plane.
func TestCluster(t *testing.T) {
	dir := t.TempDir()
	p := start(t, dir)
	p.waitReady()
	client, config := clientOf(t, dir)
	t.Run("Job", func(t *testing.T) { testJob(t, client) })
	t.Run("Hold", func(t *testing.T) { testHold(t, client) })
	t.Run("ServiceAccount", func(t *testing.T) { testServiceAccount(t, client, config) })
	t.Run("Namespace", func(t *testing.T) { testNamespace(t, client) })
	p.stop()
}

// testJob wants a Job to complete.
func testJob(t *testing.T, client kubernetes.Interface) {
	job := &batchv1.Job{
		ObjectMeta: metav1.ObjectMeta{Name: "migrate"},
		Spec:       batchv1.JobSpec{Template: podTemplate("migrate")},
	}
	job.Spec.Template.Spec.RestartPolicy = corev1.RestartPolicyNever
	jobs := client.BatchV1().Jobs("default")
	if _, err := jobs.Create(t.Context(), job, metav1.CreateOptions{}); err != nil {
		t.Fatalf("create job: %v", err)
	}
	eventually(t, "wait for the job", func(ctx context.Context) error {
		job, err := jobs.Get(ctx, "migrate", metav1.GetOptions{})
		if err == nil && job.Status.CompletionTime == nil {
			err = fmt.Errorf("it has not completed: %+v", job.Status)
		}
		return err
	})
}

// testHold wants a Pod with the annotation to be scheduled and no more, until
// the annotation is gone.
func testHold(t *testing.T, client kubernetes.Interface) {
	pods := client.CoreV1().Pods("default")
	template := podTemplate("held")
	template.Name = "held"
	template.Annotations = map[string]string{"localplane.sengu.dev/hold": "true"}
	_, err := pods.Create(t.Context(), &corev1.Pod{ObjectMeta: template.ObjectMeta, Spec: template.Spec}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("create pod: %v", err)
	}
	eventually(t, "wait until it is scheduled", func(ctx context.Context) error {
		pod, err := pods.Get(ctx, "held", metav1.GetOptions{})
		if err == nil && pod.Spec.NodeName == "" {
			err = fmt.Errorf("it is on no node: %+v", pod.Status)
		}
		return err
	})
	// A Pod that is made after it, and runs, shows that its turn has passed.
	createDeployment(t, client, "after", 1)
	wantRunning(t, client, "after", 1)
	pod, err := pods.Get(t.Context(), "held", metav1.GetOptions{})
	if err != nil {
		t.Fatalf("get pod: %v", err)
	}
	if pod.Status.Phase != corev1.PodPending {
		t.Errorf("a pod that is held is %s, want %s", pod.Status.Phase, corev1.PodPending)
	}
	release := []byte(`{"metadata":{"annotations":{"localplane.sengu.dev/hold":null}}}`)
	if _, err := pods.Patch(t.Context(), "held", types.MergePatchType, release, metav1.PatchOptions{}); err != nil {
		t.Fatalf("patch pod: %v", err)
	}
	eventually(t, "wait until it runs", func(ctx context.Context) error {
		pod, err := pods.Get(ctx, "held", metav1.GetOptions{})
		if err == nil && pod.Status.Phase != corev1.PodRunning {
			err = fmt.Errorf("it is %s", pod.Status.Phase)
		}
		return err
	})
}

// testServiceAccount wants a user that is no administrator to be who it is, and
// to be refused what it was not given. It gets its token in both ways.
func testServiceAccount(t *testing.T, client kubernetes.Interface, config *rest.Config) {
	core := client.CoreV1()
	sa := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "guest"}}
	if _, err := core.ServiceAccounts("default").Create(t.Context(), sa, metav1.CreateOptions{}); err != nil {
		t.Fatalf("create service account: %v", err)
	}
	secret := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Name: "guest", Annotations: map[string]string{corev1.ServiceAccountNameKey: "guest"}},
		Type:       corev1.SecretTypeServiceAccountToken,
	}
	if _, err := core.Secrets("default").Create(t.Context(), secret, metav1.CreateOptions{}); err != nil {
		t.Fatalf("create secret: %v", err)
	}
	var kept string
	eventually(t, "wait for the token in the secret", func(ctx context.Context) error {
		s, err := core.Secrets("default").Get(ctx, "guest", metav1.GetOptions{})
		if err != nil {
			return err
		}
		kept = string(s.Data[corev1.ServiceAccountTokenKey])
		if kept == "" || string(s.Data[corev1.ServiceAccountRootCAKey]) != string(config.CAData) {
			return fmt.Errorf("it has %d entries", len(s.Data))
		}
		return nil
	})
	request, err := core.ServiceAccounts("default").CreateToken(t.Context(), "guest", &authenticationv1.TokenRequest{}, metav1.CreateOptions{})
	if err != nil {
		t.Fatalf("request a token: %v", err)
	}
	for name, token := range map[string]string{"secret": kept, "request": request.Status.Token} {
		c := rest.AnonymousClientConfig(config)
		c.BearerToken = token
		guest, err := kubernetes.NewForConfig(c)
		if err != nil {
			t.Fatal(err)
		}
		who, err := guest.AuthenticationV1().SelfSubjectReviews().Create(t.Context(), &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
		if err != nil {
			t.Fatalf("ask who a token by %s is: %v", name, err)
		}
		if got, want := who.Status.UserInfo.Username, "system:serviceaccount:default:guest"; got != want {
			t.Errorf("a token by %s is %s, want %s", name, got, want)
		}
		if _, err := guest.CoreV1().Secrets("default").List(t.Context(), metav1.ListOptions{}); !apierrors.IsForbidden(err) {
			t.Errorf("a token by %s lists secrets: %v, want forbidden", name, err)
		}
	}
}

// testNamespace wants a namespace with something in it to go when it is deleted.
func testNamespace(t *testing.T, client kubernetes.Interface) {
	namespaces := client.CoreV1().Namespaces()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "shop"}}
	if _, err := namespaces.Create(t.Context(), ns, metav1.CreateOptions{}); err != nil {
		t.Fatalf("create namespace: %v", err)
	}
	cm := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "settings"}}
	if _, err := client.CoreV1().ConfigMaps("shop").Create(t.Context(), cm, metav1.CreateOptions{}); err != nil {
		t.Fatalf("create config map: %v", err)
	}
	if err := namespaces.Delete(t.Context(), "shop", metav1.DeleteOptions{}); err != nil {
		t.Fatalf("delete namespace: %v", err)
	}
	eventually(t, "wait until the namespace is gone", func(ctx context.Context) error {
		_, err := namespaces.Get(ctx, "shop", metav1.GetOptions{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is still there: %w", err)
	})
}

// podTemplate is a Pod with one container.
func podTemplate(app string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: map[string]string{"app": app}},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: app, Image: "example.invalid/" + app}}},
	}
}

// createDeployment makes a Deployment in the default namespace.
func createDeployment(t *testing.T, client kubernetes.Interface, name string, replicas int32) {
	t.Helper()
	d := &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: map[string]string{"app": name}},
			Template: podTemplate(name),
		},
	}
	if _, err := client.AppsV1().Deployments("default").Create(t.Context(), d, metav1.CreateOptions{}); err != nil {
		t.Fatalf("create deployment %s: %v", name, err)
	}
}

// wantRunning waits until a Deployment has all its replicas available.
func wantRunning(t *testing.T, client kubernetes.Interface, name string, replicas int32) {
	t.Helper()
	begin := time.Now()
	eventually(t, "wait for deployment "+name, func(ctx context.Context) error {
		d, err := client.AppsV1().Deployments("default").Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return err
		}
		if d.Status.AvailableReplicas != replicas {
			return fmt.Errorf("%d of %d replicas are available", d.Status.AvailableReplicas, replicas)
		}
		return nil
	})
	t.Logf("deployment %s is available after %s", name, time.Since(begin))
}
