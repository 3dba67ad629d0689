package delivery

import (
	"slices"
	"time"
)

// Step is a Job that is run before or after a revision is applied: one among the objects of the service, or one that is
// written here.
type Step struct {
	// Name is set in every step, also where the file has only job.
	Name string `json:"name,omitempty" doc:"Name of a step whose Job is written here. One with job is called as that Job. Unique among before, after and checks."`
	Job  string `json:"job,omitempty" doc:"Name of a Job among the objects of the service, as they are rendered. It is run as a step, and not applied with the rest."`
	Work
	Skip bool `json:"skip,omitempty" doc:"Leave the step of this name out: for an environment that does not need it. A Job that job names is then not run at all." default:"false"`
	// At is the file and the line of the entry, for what is to be said about it.
	At string `json:"-"`
}

// Runs returns the Job of the step.
func (s Step) Runs() Job { return Job{Name: s.Job, Work: s.Work} }

// Job is a Job to run: one among the objects of the service, by its name, or else what Work says.
type Job struct {
	Name string `json:"name,omitempty" doc:"Name of a Job among the objects of the service, as they are rendered. Plain text in place of a map is this name." short:"true"`
	Work
}

// Work is how a Job is run, and, for one that is not among the objects of the service, what it runs.
type Work struct {
	Image              string            `json:"image,omitempty" doc:"Image that is run, with a tag or a digest."`
	Command            []string          `json:"command,omitempty" doc:"What is run in place of the entrypoint of the image."`
	Args               []string          `json:"args,omitempty" doc:"Arguments of it."`
	Env                map[string]string `json:"env,omitempty" doc:"Environment variables. A secret does not belong here: use job, and take it from a Secret there."`
	ServiceAccountName string            `json:"serviceAccountName,omitempty" doc:"Service account that it runs as, in the namespace of the service."`
	BackoffLimit       int               `json:"backoffLimit,omitempty" doc:"How often it is tried again after a failure. A Job that is among the objects keeps its own." default:"0" min:"0" max:"10"`
	Timeout            time.Duration     `json:"timeout,omitempty" doc:"How long it may take, in all its attempts, before it has failed." default:"1h" min:"1s" max:"24h"`
}

// Check is a question about the world that must be answered with yes before a change goes on: a Check object if neither
// HTTP nor Job is set, by its name.
type Check struct {
	Name string `json:"name" doc:"Name of the check, and without http and job that of a Check object. Unique among before, after and checks. Plain text in place of a map is this name." required:"true" short:"true"`
	HTTP *HTTP  `json:"http,omitempty" doc:"Ask over HTTP."`
	Job  *Job   `json:"job,omitempty" doc:"Run a Job, which answers by how it ends."`
	Skip bool   `json:"skip,omitempty" doc:"Leave the check of this name out: for an environment that does not need it. A Job that it names is then not run at all." default:"false"`
	// At is the file and the line of the entry, for what is to be said about it.
	At string `json:"-"`
}

// HTTP is a check that asks over HTTP, again and again until it has passed or failed.
type HTTP struct {
	URL       string            `json:"url" doc:"Address that is asked, https:// or http://. {environment} is replaced." required:"true"`
	Method    Method            `json:"method,omitempty" doc:"Method of the request." enum:"GET,HEAD,OPTIONS" default:"GET"`
	Headers   map[string]string `json:"headers,omitempty" doc:"Headers of the request, at most 20. A secret does not belong here."`
	Status    []int             `json:"status,omitempty" doc:"Statuses that are an answer with yes. Without it, 200 to 299." min:"200" max:"599"`
	Body      string            `json:"body,omitempty" doc:"Regular expression (RE2) that must match in the body of the answer. It does not go with HEAD."`
	Interval  time.Duration     `json:"interval,omitempty" doc:"Time between two requests." default:"10s" min:"1s" max:"1h"`
	Timeout   time.Duration     `json:"timeout,omitempty" doc:"How long one request may take." default:"10s" min:"100ms" max:"1m"`
	Successes int               `json:"successes,omitempty" doc:"How many requests in a row must be answered with yes before the check has passed." default:"1" min:"1" max:"1000"`
	Failures  int               `json:"failures,omitempty" doc:"How many requests may fail, in all, before the check has failed: with 0, the first that fails ends it." default:"3" min:"0" max:"1000"`
}

// Method is the method of an HTTP request.
type Method string

// Verb returns the method, GET if the file does not say.
func (h HTTP) Verb() string {
	if h.Method == "" {
		return "GET"
	}
	return string(h.Method)
}

// Accepts reports whether a status is an answer with yes.
func (h HTTP) Accepts(status int) bool {
	if len(h.Status) == 0 {
		return status >= 200 && status < 300
	}
	return slices.Contains(h.Status, status)
}

// Rollback says whether one may go back from a revision.
type Rollback struct {
	Blocked string `json:"blocked" doc:"Why one cannot go back from this revision to an earlier one, in a sentence. A rollback is refused with it." required:"true"`
}

// What holds if the file does not say.
const (
	standardFailAfter        = time.Minute
	standardProgressDeadline = 10 * time.Minute
)

// FailsAfter returns how long the service may be degraded before a change of it has failed.
func (s Settings) FailsAfter() time.Duration {
	if s.FailAfter == nil {
		return standardFailAfter
	}
	return *s.FailAfter
}

// HealthyWithin returns how long the service may take until it is healthy.
func (s Settings) HealthyWithin() time.Duration {
	if s.ProgressDeadline == nil {
		return standardProgressDeadline
	}
	return *s.ProgressDeadline
}

// Jobs returns the names of the Jobs among the objects of the service that are steps or checks, also of those that are
// skipped, in order and once each. They are not applied with the other objects.
func (s Settings) Jobs() []string {
	jobs := slices.Clone(s.SkippedJobs)
	for _, step := range slices.Concat(s.Before, s.After) {
		if step.Job != "" {
			jobs = append(jobs, step.Job)
		}
	}
	for _, check := range s.Checks {
		if check.Job != nil && check.Job.Name != "" {
			jobs = append(jobs, check.Job.Name)
		}
	}
	slices.Sort(jobs)
	return slices.Compact(jobs)
}
