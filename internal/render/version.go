package render

import (
	"crypto/sha256"
	"encoding/hex"
	"runtime/debug"
	"strings"
	"sync"
)

// format changes whenever the own part of rendering changes what comes out of the same input.
const format = "1"

// decisive are the modules whose version decides the output.
var decisive = []string{
	"sigs.k8s.io/kustomize/api", "sigs.k8s.io/kustomize/kyaml", "helm.sh/helm/v4", "github.com/Masterminds/sprig/v3",
	"go.yaml.in/yaml/v3", "sigs.k8s.io/yaml", "k8s.io/client-go", // Helm takes its default Kubernetes version from there
}

// Version names everything about the renderer that decides its output: two renderers of one version make the same of
// the same input.
var Version = sync.OnceValue(func() string {
	v := []string{"sengu " + format}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return v[0]
	}
	for _, want := range decisive {
		for _, dep := range info.Deps {
			if dep.Path == want {
				v = append(v, want+" "+dep.Version)
			}
		}
	}
	return strings.Join(v, ", ")
})

// Fingerprint is short for Version: two renderers with one fingerprint are of one version.
var Fingerprint = sync.OnceValue(func() string {
	sum := sha256.Sum256([]byte(Version()))
	return format + "-" + hex.EncodeToString(sum[:6])
})
