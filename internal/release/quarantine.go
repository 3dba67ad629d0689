package release

import (
	"cmp"
	"maps"
	"slices"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// Quarantine returns the images that no machine may choose again for a service, sorted: those that a Release brought new
// to an environment where it then failed, and that have not passed in that environment since. That they pass elsewhere
// tells nothing: they had passed in the environments before it already. An image stands there as the Release names it,
// and with a digest behind it if the commit told which. Releases are those of one service, in any order. Where it is not
// known what ran before, only what the commit says it writes counts as new, and what Sengu wrote for the Release.
func Quarantine(releases []*v1alpha1.Release) []string {
	sorted := slices.SortedFunc(slices.Values(releases), func(a, b *v1alpha1.Release) int {
		return cmp.Compare(a.Spec.Sequence, b.Spec.Sequence)
	})
	type failure struct{ environment, image string }
	good := map[string][]string{} // by environment: what passed last
	bad := map[failure]string{}   // the image with its digest
	for _, r := range sorted {
		for _, at := range r.Status.Environments {
			i := slices.IndexFunc(r.Spec.Environments, func(e v1alpha1.ReleaseEnvironment) bool { return e.Name == at.Name })
			if i < 0 || at.Pinned != "" { // what passed or failed there is what was pinned
				continue
			}
			images := r.Spec.Environments[i].Images
			switch at.Stage {
			case v1alpha1.StageDone:
				good[at.Name] = images
				for _, image := range images {
					if !at.Unchanged {
						delete(bad, failure{at.Name, image})
					}
				}
			case v1alpha1.StageFailed, v1alpha1.StageRolledBack:
				for _, image := range images {
					before, known := good[at.Name]
					told := r.Spec.Commit.WithDigest(image)
					if known && !slices.Contains(before, image) || !known && (told != image || writes(r.Spec.Environments[i], image)) {
						bad[failure{at.Name, image}] = told
					}
				}
			}
		}
	}
	return slices.Compact(slices.Sorted(maps.Values(bad)))
}

// writes reports whether an image comes to an environment by a change that Sengu writes to Git.
func writes(env v1alpha1.ReleaseEnvironment, image string) bool {
	return slices.ContainsFunc(env.Wanted, func(want v1alpha1.WantedImage) bool { return want.Image == image })
}
