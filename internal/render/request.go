package render

import (
	"log/slog"
	"time"

	"github.com/sengu-dev/sengu/internal/manifest"
)

// Request says what to render.
type Request struct {
	// Source is one revision of a repository; it may be a [Recorder] through which the caller has read already.
	Source Source
	// Path is the folder to render, within Source: a kustomization, a chart, or plain YAML and JSON.
	Path string
	// Namespace is the release namespace of a Helm chart. Objects keep the namespace that they were written with.
	Namespace string
	// Release is the release name of a Helm chart; the last element of Path when empty.
	Release string
	// ValuesFiles are values files in Source for a Helm chart, the last one wins.
	ValuesFiles []string
	// Values win over ValuesFiles.
	Values map[string]any
	// Chart is a chart outside of the repository. Path is then only where relative values files are looked for.
	Chart *ChartRef
	// Capabilities of the cluster, for Helm charts.
	Capabilities Capabilities
	// AllowNondeterministic lets templates use random values and the time.
	AllowNondeterministic bool
	// Remote is what the render may fetch from outside of the repository: nothing when empty.
	Remote RemotePolicy
}

// ChartRef names a chart outside of the repository.
type ChartRef struct {
	// Repository is the https URL of a chart repository, or oci://registry/path.
	Repository string
	// Name of the chart. For OCI it is appended to Repository; it may be empty when Repository names the chart itself.
	Name string
	// Version is an exact version or a semver range.
	Version string
	// Digest, when set, is the sha256 that the chart archive must have ("sha256:…").
	Digest string
}

// Capabilities are what a chart may ask about a cluster.
type Capabilities struct {
	KubeVersion string   // "v1.34.1"; empty for the default of the Helm library
	APIVersions []string // "monitoring.coreos.com/v1", in addition to the built-in ones
}

// Result is what a render made.
type Result struct {
	// Objects are sorted by kind, namespace and name.
	Objects []manifest.Object
	// Hooks are sorted by weight, kind and name. Every one that is not run is also a warning.
	Hooks []Hook
	// ReadSet is all that the render read.
	ReadSet ReadSet
	// Warnings are sentences for people: a lookup that found nothing, a hook that is not run.
	Warnings []string
	// Degraded names the layers of the sandbox that the kernel lacks; empty when all hold.
	Degraded []string
	// Cached is true when nothing was rendered because the disk had the result.
	Cached bool
}

// Error is why a render failed: one sentence with the file, the field or line, and the way out. It never quotes a
// value of a Secret.
type Error struct {
	Sentence string
	File     string  // "" when the trouble has no file
	Line     int     // 0 when unknown
	ReadSet  ReadSet // what was read before; while it is unchanged the render fails in the same way
	// Temporary is true when the same input may render later: a time-out, a remote that is down.
	Temporary bool
	cause     error
}

// Error returns the sentence.
func (e *Error) Error() string { return e.Sentence }

// Unwrap returns what caused the error, if anything did.
func (e *Error) Unwrap() error { return e.cause }

// Options configure a Renderer.
type Options struct {
	// Executable and Args start a worker; the own executable with "render-worker" when empty. The program must call
	// [WorkerMain] before anything else.
	Executable string
	Args       []string
	// Env is added to the otherwise empty environment of a worker.
	Env []string
	// Workers is the number of renders at a time; the number of CPUs when 0.
	Workers int
	// MemoryLimit of a worker in bytes; 512 MiB when 0.
	MemoryLimit int64
	// Timeout of one render; 60 s when 0. Waiting for a worker does not count.
	Timeout time.Duration
	// OutputLimit of one render in bytes of JSON; 32 MiB when 0.
	OutputLimit int
	// FileLimit is the size in bytes of the largest file that a render reads; 8 MiB when 0.
	FileLimit int64
	// ReadLimit is how many bytes a render reads in total; 128 MiB when 0.
	ReadLimit int64
	// CacheDir keeps results; nothing is kept when empty.
	CacheDir string
	// CacheLimit is the size in bytes of the results kept; 256 MiB when 0.
	CacheLimit int64
	// CacheKey (32 bytes) encrypts the results kept. Without it, results that hold a Secret are not kept, and what was fetched
	// with a credential is found again by this process alone.
	CacheKey []byte
	// Git opens other repositories for remote bases of kustomizations; they are refused when nil.
	Git GitOpener
	// Logger gets what an operator may want to know; nothing is logged when nil.
	Logger *slog.Logger
}
