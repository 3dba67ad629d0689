package manifest

import (
	"fmt"
	"strconv"
	"strings"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

// ApplyMode is how an object is written.
type ApplyMode string

// The ways to write an object.
const (
	// ModeApply is server-side apply: Sengu owns the fields that Git names and leaves the others alone.
	ModeApply ApplyMode = "Apply"
	// ModeIfNotPresent makes the object once and never changes it.
	ModeIfNotPresent ApplyMode = "IfNotPresent"
	// ModeReplace writes the object as a whole, also the fields that others have set.
	ModeReplace ApplyMode = "Replace"
)

// WaveOf reads the wave of u: [AnnotationWave], or Argo CD's annotation where ours is absent, or 0. A value that is
// not a whole number is an error that does not repeat the value.
func WaveOf(u *unstructured.Unstructured) (int32, error) {
	for _, name := range []string{AnnotationWave, argoWave} {
		value := annotation(u, name)
		if value == "" {
			continue
		}
		wave, err := strconv.ParseInt(strings.TrimSpace(value), 10, 32)
		if err != nil {
			return 0, fmt.Errorf("annotation %s must be a whole number between -2147483648 and 2147483647, in quotes", name)
		}
		return int32(wave), nil
	}
	return 0, nil
}

// NeverPruned says whether u asks to be kept for ever: by [AnnotationPrune], or by the annotation that means so to
// Argo CD (Prune=false, and Prune=confirm too), Flux (prune: disabled) or Helm (resource-policy: keep). A value of
// [AnnotationPrune] that is not understood keeps the object as well.
func NeverPruned(u *unstructured.Unstructured) bool {
	if value := annotation(u, AnnotationPrune); value != "" {
		return true
	}
	options := annotation(u, argoOptions)
	return hasOption(options, "Prune=false") || hasOption(options, "Prune=confirm") ||
		strings.EqualFold(annotation(u, fluxPrune), "disabled") ||
		strings.EqualFold(strings.TrimSpace(annotation(u, helmPolicy)), "keep")
}

// ModeOf reads how u is to be written: [AnnotationApply], or what means the same to Argo CD (Replace=true) or Flux
// (ssa: IfNotPresent) where ours is absent.
func ModeOf(u *unstructured.Unstructured) (ApplyMode, error) {
	switch annotation(u, AnnotationApply) {
	case "":
	case string(ModeIfNotPresent):
		return ModeIfNotPresent, nil
	case string(ModeReplace):
		return ModeReplace, nil
	default:
		return "", fmt.Errorf("annotation %s must be IfNotPresent or Replace", AnnotationApply)
	}
	if hasOption(annotation(u, argoOptions), "Replace=true") {
		return ModeReplace, nil
	}
	if strings.EqualFold(annotation(u, fluxApply), string(ModeIfNotPresent)) {
		return ModeIfNotPresent, nil
	}
	return ModeApply, nil
}

func hasOption(list, option string) bool {
	for part := range strings.SplitSeq(list, ",") {
		if strings.EqualFold(strings.TrimSpace(part), option) {
			return true
		}
	}
	return false
}

// checkPrune refuses a value of [AnnotationPrune] that Git should not hold.
func checkPrune(u *unstructured.Unstructured) error {
	if value := annotation(u, AnnotationPrune); value != "" && value != "never" {
		return fmt.Errorf("annotation %s must be never, or be left out", AnnotationPrune)
	}
	return nil
}
