package health

import (
	"fmt"

	"github.com/sengu-dev/sengu/api/v1alpha1"
)

func service(o object) Status {
	if o.text("spec.type") == "LoadBalancer" && len(o.list("status.loadBalancer.ingress")) == 0 {
		return progressing("waits for the address of its load balancer")
	}
	return healthy()
}

// ingress is Healthy without an address too: many controllers never report one, and waiting for it would be waiting
// for ever.
func ingress(o object) Status {
	if len(o.list("status.loadBalancer.ingress")) == 0 {
		return Status{v1alpha1.Healthy, "has no address that its controller reports"}
	}
	return healthy()
}

func gatewayClass(o object) Status {
	c, ok := o.condition("Accepted")
	switch {
	case !ok || c.generation >= 0 && c.generation < o.GetGeneration():
		return progressing(waitsForController)
	case c.isTrue():
		return healthy()
	case c.isFalse():
		return degraded("is not accepted: %s", c.because())
	default:
		return progressing("is not accepted yet: %s", c.because())
	}
}

func gateway(o object) Status {
	if s := gatewayClass(o); s.Status != v1alpha1.Healthy {
		return s
	}
	for _, item := range o.list("status.listeners") {
		listener, _ := item.(map[string]any)
		name, _ := listener["name"].(string)
		conditions, _ := listener["conditions"].([]any)
		if c, ok := conditionOf(conditions, "ResolvedRefs"); ok && c.isFalse() {
			return degraded("has the listener %s that refers to what is not there: %s", name, c.because())
		}
	}
	if c, ok := o.condition("Programmed"); ok && !c.isTrue() {
		return progressing("is not in force yet: %s", c.because())
	}
	return healthy()
}

func route(o object) Status {
	parents := o.list("status.parents")
	if len(parents) == 0 {
		return progressing("waits for a Gateway to accept it")
	}
	for _, item := range parents {
		parent, _ := item.(map[string]any)
		ref, _ := parent["parentRef"].(map[string]any)
		name, _ := ref["name"].(string)
		conditions, _ := parent["conditions"].([]any)
		for _, kind := range []string{"Accepted", "ResolvedRefs"} {
			c, ok := conditionOf(conditions, kind)
			switch {
			case !ok:
			case c.generation >= 0 && c.generation < o.GetGeneration():
				return progressing(waitsForController)
			case c.isFalse() && c.reason == "Pending":
				return progressing("waits for the Gateway %s: %s", name, c.because())
			case c.isFalse() && kind == "Accepted":
				return degraded("is not accepted by the Gateway %s: %s", name, c.because())
			case c.isFalse():
				return degraded("refers to what is not there: %s", c.because())
			}
		}
	}
	return healthy()
}

func claim(o object) Status {
	switch phase := o.text("status.phase"); phase {
	case "Bound":
		if c, ok := o.condition("FileSystemResizePending"); ok && c.isTrue() {
			return progressing("waits for its Pod to restart before its file system grows")
		}
		return healthy()
	case "Lost":
		return degraded("has lost its volume %s", o.text("spec.volumeName"))
	default:
		return progressing("waits for a volume")
	}
}

func volume(o object) Status {
	if o.text("status.phase") == "Failed" {
		return degraded("could not be reclaimed%s", suffix(o.text("status.reason")))
	}
	return healthy()
}

func namespace(o object) Status {
	if o.text("status.phase") == "Terminating" {
		return progressing("is being deleted")
	}
	return healthy()
}

func apiService(o object) Status {
	if o.at("spec.service") == nil {
		return healthy()
	}
	c, ok := o.condition("Available")
	switch {
	case !ok:
		return progressing(waitsForController)
	case c.isTrue():
		return healthy()
	default:
		return progressing("is not available: %s", c.because())
	}
}

func definition(o object) Status {
	if c, ok := o.condition("NamesAccepted"); ok && c.isFalse() {
		return degraded("has names that are taken: %s", c.because())
	}
	c, ok := o.condition("Established")
	switch {
	case ok && c.isTrue():
		if s, bad := o.condition("NonStructuralSchema"); bad && s.isTrue() {
			return Status{v1alpha1.Healthy, fmt.Sprintf("has a schema that is not structural: %s", s.because())}
		}
		return healthy()
	case ok && c.reason != "Installing":
		return degraded("is not served: %s", c.because())
	default:
		return progressing("is not served yet")
	}
}
