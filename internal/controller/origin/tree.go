package origin

import (
	"context"
	"fmt"
	"regexp"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/gitrepo"
	"github.com/sengu-dev/sengu/internal/render"
)

// Tree opens a revision of a Fleet's repository, in which a submodule is followed if spec.remotes of the Fleet allows its
// URL.
func Tree(ctx context.Context, c client.Reader, fleet *v1alpha1.Fleet, repository *gitrepo.Repository, revision string) (*gitrepo.Tree, error) {
	tree, err := repository.Tree(ctx, revision)
	if err != nil {
		return nil, err
	}
	// A tree is read beside what is done with its Fleet, whose status is written meanwhile.
	own := &v1alpha1.Fleet{ObjectMeta: metav1.ObjectMeta{Namespace: fleet.Namespace}, Spec: v1alpha1.FleetSpec{Remotes: fleet.Spec.Remotes}}
	own = own.DeepCopy()
	return tree.Reaching(func(ctx context.Context, url string) (gitrepo.Auth, error) {
		remote, err := remoteOf(own, url)
		if err != nil {
			return gitrepo.Auth{}, err
		}
		return authOfRemote(ctx, c, own, remote)
	}), nil
}

// remoteOf returns the remote by which a Fleet allows the URL of a Git repository, the one of the longest prefix as in a
// render, or says that none does.
func remoteOf(fleet *v1alpha1.Fleet, url string) (v1alpha1.Remote, error) {
	if m := scpForm.FindStringSubmatch(url); m != nil {
		url = "ssh://" + m[1] + "/" + m[2] // as a prefix has to be written
	}
	best, refusal := v1alpha1.Remote{}, render.RemotePolicy{}.Allows(url)
	for _, remote := range fleet.Spec.Remotes {
		one := render.RemotePolicy{Allow: []render.RemoteSource{{Prefix: remote.Prefix}}}
		if one.Allows(url) == nil && len(remote.Prefix) > len(best.Prefix) {
			best, refusal = remote, nil
		}
	}
	return best, refusal
}

// scpForm is how ssh is mostly written: git@host:path.
var scpForm = regexp.MustCompile(`^(?:[^@/:]+@)?([^@/:]+):([^/:].*)$`)

// authOfRemote reads what a Fleet sends to a Git repository below one of its remotes: what that remote names, or nothing.
// The credential of the Fleet's own repository is for that alone.
func authOfRemote(ctx context.Context, c client.Reader, fleet *v1alpha1.Fleet, remote v1alpha1.Remote) (gitrepo.Auth, error) {
	if remote.SecretRef == nil {
		return gitrepo.Auth{}, nil
	}
	secret := &corev1.Secret{}
	if err := c.Get(ctx, types.NamespacedName{Namespace: fleet.Namespace, Name: remote.SecretRef.Name}, secret); err != nil {
		return gitrepo.Auth{}, fmt.Errorf("read Secret %s that remotes names for %s: %w", remote.SecretRef.Name, remote.Prefix, err)
	}
	return gitrepo.AuthFromSecret(secret.Data)
}
