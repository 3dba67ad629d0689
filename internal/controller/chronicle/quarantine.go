package chronicle

import (
	"cmp"
	"slices"
	"strings"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/release"
)

// quarantined names the Releases of a service without which it would be forgotten which images failed: the newest, at
// most so many, that failed with an image which is in quarantine, those that passed before where these failed, by which
// it is known that the image was new there, and those that passed there since with another image of theirs, which is in
// quarantine no more.
func quarantined(all []v1alpha1.Release, most int) map[string]bool {
	sorted := make([]*v1alpha1.Release, 0, len(all))
	for i := range all {
		sorted = append(sorted, &all[i])
	}
	slices.SortFunc(sorted, func(a, b *v1alpha1.Release) int { return cmp.Compare(b.Spec.Sequence, a.Spec.Sequence) })
	bad := release.Quarantine(sorted)
	names := map[string]bool{}
	for i, one := range sorted {
		if most == 0 {
			break
		}
		failed := failedWith(one, bad)
		if len(failed) == 0 {
			continue
		}
		most--
		names[one.Name] = true
		for _, env := range failed {
			before := slices.IndexFunc(sorted[i+1:], func(r *v1alpha1.Release) bool { return passed(r, env) })
			if before >= 0 {
				names[sorted[i+1+before].Name] = true
			}
			for _, image := range imagesIn(one, env) {
				since := slices.IndexFunc(sorted[:i], func(r *v1alpha1.Release) bool {
					return passed(r, env) && !placeIn(r, env).Unchanged && slices.Contains(imagesIn(r, env), image)
				})
				if since >= 0 {
					names[sorted[since].Name] = true
				}
			}
		}
	}
	return names
}

// failedWith returns the environments in which a Release failed that brings a bad image there.
func failedWith(one *v1alpha1.Release, bad []string) []string {
	var failed []string
	for _, env := range one.Spec.Environments {
		stage := stageIn(one, env.Name)
		brings := slices.ContainsFunc(env.Images, func(image string) bool {
			return slices.ContainsFunc(bad, func(b string) bool { return b == image || strings.HasPrefix(b, image+"@") })
		})
		if brings && (stage == v1alpha1.StageFailed || stage == v1alpha1.StageRolledBack) {
			failed = append(failed, env.Name)
		}
	}
	return failed
}

func stageIn(one *v1alpha1.Release, environment string) v1alpha1.Stage {
	return placeIn(one, environment).Stage
}

// placeIn is how far a Release has come in an environment.
func placeIn(one *v1alpha1.Release, environment string) v1alpha1.ReleaseEnvironmentStatus {
	for _, at := range one.Status.Environments {
		if at.Name == environment {
			return at
		}
	}
	return v1alpha1.ReleaseEnvironmentStatus{}
}

// passed reports whether a Release has passed an environment with its own images.
func passed(one *v1alpha1.Release, environment string) bool {
	at := placeIn(one, environment)
	return at.Stage == v1alpha1.StageDone && at.Pinned == ""
}

// imagesIn are the images that a Release brings to an environment.
func imagesIn(one *v1alpha1.Release, environment string) []string {
	for _, env := range one.Spec.Environments {
		if env.Name == environment {
			return env.Images
		}
	}
	return nil
}
