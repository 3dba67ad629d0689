package delivery

import (
	"time"

	"github.com/sengu-dev/sengu/internal/health"
	"github.com/sengu-dev/sengu/internal/manifest"
)

// FileName is the name of the file in the folder of a service, and in that of an environment.
const FileName = "sengu.yaml"

// What the file says that it is.
const (
	APIVersion = "sengu.dev/v1alpha1"
	Kind       = "Delivery"
)

// Delivery says how one service is delivered.
type Delivery struct {
	Settings
	Environments map[string]Settings `json:"environments,omitempty" doc:"What is different in an environment, by its name: the fields of this file but this one."`
}

// Settings are the part of a Delivery that may differ by environment.
type Settings struct {
	Source           Source                `json:"source,omitempty" doc:"What the objects of the service are made of. Without it, the folder of the environment is rendered as it is: a kustomization, a Helm chart, or YAML files."`
	Ignore           []manifest.IgnoreRule `json:"ignore,omitempty" doc:"Fields that somebody else sets, and Sengu neither writes nor compares. The replicas of what an autoscaler of the service scales are ignored without being named."`
	Health           []health.Rule         `json:"health,omitempty" doc:"Rules that judge the health of kinds in place of what Sengu knows about them."`
	Deletion         Deletion              `json:"deletion,omitempty" doc:"What happens to objects that are no longer in Git."`
	CreateNamespace  *bool                 `json:"createNamespace,omitempty" doc:"Make the namespace of the service if it does not exist." default:"true"`
	Images           []Image               `json:"images,omitempty" doc:"Images whose new versions are written into Git. Those of an environment replace those of the service by name."`
	Before           []Step                `json:"before,omitempty" doc:"Jobs that are run, one after the other, before a revision is applied; if one fails, nothing is applied. Those of an environment replace those of the service by name."`
	After            []Step                `json:"after,omitempty" doc:"Jobs that are run, one after the other, once what was applied is healthy. Those of an environment replace those of the service by name."`
	Checks           []Check               `json:"checks,omitempty" doc:"What must hold once what was applied is healthy, beside the jobs of after. Those of an environment replace those of the service by name."`
	Rollback         Rollback              `json:"rollback,omitempty" doc:"Whether one may go back from this revision, which one may if nothing is said."`
	FailAfter        *time.Duration        `json:"failAfter,omitempty" doc:"How long the service may be degraded before the change has failed." default:"1m" min:"0s" max:"24h"`
	ProgressDeadline *time.Duration        `json:"progressDeadline,omitempty" doc:"How long the service may take until it is healthy, before the change has failed." default:"10m" min:"1s" max:"24h"`
	// SkippedJobs are Jobs among the objects of the service that a step or a check ran, until an environment skipped or
	// replaced it. They are not run, and not applied either.
	SkippedJobs []string `json:"-"`
}

// Source says what the objects of a service are made of.
type Source struct {
	Chart                 *Chart         `json:"chart,omitempty" doc:"Helm chart that is rendered instead of the folder of the environment."`
	ReleaseName           string         `json:"releaseName,omitempty" doc:"Helm's name for the release. Without it, the name of the service."`
	ValuesFiles           []string       `json:"valuesFiles,omitempty" doc:"Files with values for the chart, relative to the folder of this file, or from the root of the repository with a leading slash. {environment} is replaced. Later files win; those of an environment come after those of the service."`
	Values                map[string]any `json:"values,omitempty" doc:"Values for the chart, which win over valuesFiles. Those of an environment are merged into those of the service, key by key."`
	CRDs                  CRDs           `json:"crds,omitempty" doc:"Whether the custom resource definitions of the chart are applied." enum:"apply,skip" default:"apply"`
	AllowNondeterministic *bool          `json:"allowNondeterministic,omitempty" doc:"Let templates use random values and the time, so that two renders of one commit may differ." default:"false"`
}

// Chart names a Helm chart: one of a repository of charts, or one in this repository.
type Chart struct {
	Repository string `json:"repository,omitempty" doc:"Repository of charts: https://…, or oci://… . The Fleet must allow it in remotes."`
	Path       string `json:"path,omitempty" doc:"Folder of a chart in this repository, relative to the folder of this file, or from the root of the repository with a leading slash. {environment} is replaced."`
	Name       string `json:"name,omitempty" doc:"Name of the chart. May be left out if an oci:// repository names the chart itself."`
	Version    string `json:"version,omitempty" doc:"Version of the chart, exactly: a range would change what runs without a commit."`
	Digest     string `json:"digest,omitempty" doc:"Digest that the archive of the chart must have: sha256:… ."`
	// At is the file and the line that name the repository, for what is to be said about it.
	At string `json:"-"`
}

// CRDs says what happens to the custom resource definitions of a chart.
type CRDs string

// The choices for the definitions of a chart.
const (
	CRDsApply CRDs = "apply"
	CRDsSkip  CRDs = "skip"
)

// Deletion says what happens to objects that are no longer in Git.
type Deletion struct {
	Prune Prune `json:"prune,omitempty" doc:"normal deletes them within the budget of the Fleet, never keeps them, confirm waits for a person each time." enum:"normal,never,confirm" default:"normal"`
}

// Prune is how objects that are no longer in Git are deleted.
type Prune string

// The ways to prune.
const (
	PruneNormal  Prune = "normal"
	PruneNever   Prune = "never"
	PruneConfirm Prune = "confirm"
)

// PruneMode returns how objects are pruned, [PruneNormal] if the file does not say.
func (s Settings) PruneMode() Prune {
	if s.Deletion.Prune == "" {
		return PruneNormal
	}
	return s.Deletion.Prune
}

// CreatesNamespace says whether the namespace is made if it does not exist, which it is unless the file says no.
func (s Settings) CreatesNamespace() bool { return s.CreateNamespace == nil || *s.CreateNamespace }

// SkipsCRDs says whether the definitions of a chart are left out.
func (s Source) SkipsCRDs() bool { return s.CRDs == CRDsSkip }

// Nondeterministic says whether templates may use random values and the time.
func (s Source) Nondeterministic() bool {
	return s.AllowNondeterministic != nil && *s.AllowNondeterministic
}

// document is the file as it is written: the one table that the parser and the schema are made of.
type document struct {
	APIVersion string `json:"apiVersion" doc:"Version of this format." const:"sengu.dev/v1alpha1" required:"true"`
	Kind       string `json:"kind" doc:"What this file is." const:"Delivery" required:"true"`
	Delivery
}
