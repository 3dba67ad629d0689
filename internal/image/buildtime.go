package image

import "time"

// LabelCreated is the label (or the annotation) that tells when an image was built. Source: OCI image specification,
// "Pre-Defined Annotation Keys".
const LabelCreated = "org.opencontainers.image.created"

// fixed are the times that builders write when they want two builds of one commit to be equal byte by byte: they say
// nothing of when it was built.
var fixed = []time.Time{
	time.Unix(0, 0).UTC(),                       // Bazel, Jib, ko
	time.Date(1980, 1, 1, 0, 0, 1, 0, time.UTC), // Cloud Native Buildpacks
}

// BuildTime says when an image was built: by the created field of its configuration, or else by the first label that
// tells. Zero when none does, or when the time is one that builders write into every image.
func BuildTime(created time.Time, labels ...string) time.Time {
	if known(created) {
		return created.UTC()
	}
	for _, label := range labels {
		t, err := time.Parse(time.RFC3339, label)
		if err == nil && known(t) {
			return t.UTC()
		}
	}
	return time.Time{}
}

func known(t time.Time) bool {
	if t.IsZero() || t.Before(fixed[0]) {
		return false
	}
	for _, f := range fixed {
		if t.Equal(f) {
			return false
		}
	}
	return true
}
