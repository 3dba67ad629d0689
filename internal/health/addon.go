package health

import (
	"strings"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

// autoscaler is Progressing, not Degraded, while it has no metrics: what it scales runs on, and metrics of new Pods
// are always late.
func autoscaler(o object) Status {
	if c, ok := o.condition("AbleToScale"); ok && c.isFalse() {
		if strings.HasPrefix(c.reason, "Failed") || strings.HasPrefix(c.reason, "Invalid") {
			return degraded("cannot scale: %s", c.because())
		}
		return progressing("cannot scale yet: %s", c.because())
	}
	c, ok := o.condition("ScalingActive")
	switch {
	case !ok || c.isTrue():
		return healthy()
	case c.reason == "ScalingDisabled":
		return Status{v1alpha1.Healthy, "does not scale, because its target has no replicas"}
	case strings.HasPrefix(c.reason, "Invalid") || c.reason == "AmbiguousSelector":
		return degraded("cannot scale: %s", c.because())
	default:
		return progressing("waits for metrics: %s", c.because())
	}
}

func scaledObject(o object) Status {
	if c, ok := o.condition("Paused"); ok && c.isTrue() {
		return suspended("is paused")
	}
	return readyOrBroken(o)
}

// readyOrBroken judges kinds whose controllers say Ready=False only when something is wrong.
func readyOrBroken(o object) Status {
	c, ok := o.condition("Ready")
	switch {
	case !ok || o.stale() || c.generation >= 0 && c.generation < o.GetGeneration():
		return progressing(waitsForController)
	case c.isTrue():
		return healthy()
	case c.isFalse():
		return degraded("%s", c.because())
	default:
		return progressing("%s", c.because())
	}
}

func certificate(o object) Status {
	issuing, isIssuing := o.condition("Issuing")
	ready, ok := o.condition("Ready")
	switch {
	case isIssuing && issuing.isTrue():
		return progressing("is being issued: %s", issuing.because())
	case isIssuing && issuing.isFalse() && issuing.reason == "Failed" && !ready.isTrue():
		return degraded("could not be issued: %s", issuing.because())
	case !ok || ready.generation >= 0 && ready.generation < o.GetGeneration():
		return progressing(waitsForController)
	case ready.isTrue():
		return healthy()
	case o.number("status.failedIssuanceAttempts", 0) > 0:
		return degraded("could not be issued: %s", ready.because())
	default:
		return progressing("is not ready: %s", ready.because())
	}
}

func sealedSecret(o object) Status {
	c, ok := o.condition("Synced")
	switch {
	case !ok || o.stale():
		return progressing(waitsForController)
	case c.isFalse():
		return degraded("could not be opened: %s", c.because())
	default:
		return healthy()
	}
}

func rollout(o object) Status {
	message := o.text("status.message")
	if o.flag("status.abort") {
		return degraded("was aborted%s", suffix(message))
	}
	if o.unseen() {
		return progressing(waitsForController)
	}
	switch phase := o.text("status.phase"); phase {
	case "Healthy":
		return healthy()
	case "Paused":
		return suspended("is paused%s", suffix(message))
	case "Degraded":
		return degraded("is degraded%s", suffix(message))
	default:
		return progressing("is rolling out%s", suffix(message))
	}
}

// analysisRun without a clear result is Unknown: too little evidence is no pass.
func analysisRun(o object) Status {
	message := o.text("status.message")
	switch phase := o.text("status.phase"); phase {
	case "Successful":
		return healthy()
	case "Failed", "Error":
		return degraded("did not succeed%s", suffix(message))
	case "Inconclusive":
		return unknown("came to no result%s", suffix(message))
	default:
		return progressing("is running")
	}
}

func canary(o object) Status {
	c, _ := o.condition("Promoted")
	switch phase := o.text("status.phase"); phase {
	case "Initialized", "Succeeded":
		if o.stale() {
			return progressing(waitsForController)
		}
		return healthy()
	case "Failed":
		return degraded("was taken back: %s", c.because())
	case "Waiting", "WaitingPromotion":
		return Status{v1alpha1.Suspended, "waits for an approval"}
	default:
		return progressing("is rolling out%s", suffix(c.message))
	}
}
