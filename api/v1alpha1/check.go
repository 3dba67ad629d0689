package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// HTTPCheck asks an address until it has answered well often enough, or badly too often. What it may ask is what the probe
// asks: the rest is refused here, so that no change is taken for a bad one because of it.
//
// +kubebuilder:validation:XValidation:rule="!has(self.body) || size(self.body) == 0 || !has(self.method) || self.method != 'HEAD'",message="http.body does not go with method HEAD, which is answered without one"
// +kubebuilder:validation:XValidation:rule="!self.url.startsWith('service://') || !has(self.method) || self.method == 'GET'",message="http.method must be GET for a service:// URL: the API server is asked with nothing else"
// +kubebuilder:validation:XValidation:rule="!self.url.startsWith('service://') || !has(self.headers) || self.headers.all(name, name.matches('^(?i)accept$'))",message="http.headers must not hold anything but Accept for a service:// URL: the API server would take them for its own"
type HTTPCheck struct {
	// url that is asked: https:// or http://, or service://NAME:PORT/PATH for a Service in the namespace of the App,
	// through the API server of its cluster. {environment} and {service} are replaced.
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.startsWith('service://') || self.matches('^https?://[^/?#@]+([/?#]|$)')",message="http.url must begin with https://, http:// or service://, and name no user"
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('service://') || self.matches('^service://(https?:)?[-a-z0-9{}]+:[-a-z0-9{}]+([/?]|$)')",message="http.url must be service://NAME:PORT/path, or service://https:NAME:PORT/path"
	URL string `json:"url"`
	// method of the request.
	// +kubebuilder:validation:Enum=GET;HEAD;OPTIONS
	// +kubebuilder:default=GET
	// +optional
	Method string `json:"method,omitempty"`
	// headers of the request. A secret does not belong here.
	// +kubebuilder:validation:MaxProperties=20
	// +kubebuilder:validation:XValidation:rule="self.all(name, name.matches('^[A-Za-z0-9!#$%&*+.^_|~-]{1,128}$'))",message="http.headers holds a name that is none"
	// +kubebuilder:validation:XValidation:rule="self.all(name, !name.matches('^(?i)(connection|content-length|expect|keep-alive|proxy-authorization|proxy-connection|te|trailer|transfer-encoding|upgrade)$'))",message="http.headers must not hold one that says how the request is sent, such as Connection"
	// +optional
	Headers map[string]string `json:"headers,omitempty"`
	// status lists the answers that are good; 200 to 299 without it.
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:Minimum=200
	// +kubebuilder:validation:items:Maximum=599
	// +listType=set
	// +optional
	Status []int32 `json:"status,omitempty"`
	// body is a regular expression (RE2) that has to match in the answer.
	// +kubebuilder:validation:MaxLength=1000
	// +kubebuilder:validation:XValidation:rule="''.matches(self) in [true, false]",message="http.body must be a regular expression (RE2)"
	// +optional
	Body string `json:"body,omitempty"`
	// interval between two requests; 10s without it.
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('1h')",message="http.interval must be between 1s and 1h"
	// +optional
	Interval *metav1.Duration `json:"interval,omitempty"`
	// timeout of one request; 10s without it.
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('100ms') && duration(self) <= duration('1m')",message="http.timeout must be between 100ms and 1m"
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`
	// successes is how many requests in a row have to be answered well.
	// +kubebuilder:default=1
	// +kubebuilder:validation:Minimum=1
	// +kubebuilder:validation:Maximum=1000
	// +optional
	Successes int32 `json:"successes,omitempty"`
	// failures is how many requests may fail before the check has.
	// +kubebuilder:default=3
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=1000
	// +optional
	Failures *int32 `json:"failures,omitempty"`
}

// JobCheck runs a Job, which answers by how it ends.
type JobCheck struct {
	// image that is run, with a tag or a digest.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=512
	Image string `json:"image"`
	// command that is run in place of the entrypoint of the image, and args of it.
	// +listType=atomic
	// +optional
	Command []string `json:"command,omitempty"`
	// +listType=atomic
	// +optional
	Args []string `json:"args,omitempty"`
	// env are its environment variables.
	// +optional
	Env map[string]string `json:"env,omitempty"`
	// serviceAccountName that it runs as, in the namespace of the App.
	// +optional
	ServiceAccountName string `json:"serviceAccountName,omitempty"`
	// timeout is how long it may take in all; 1h without it.
	// +kubebuilder:validation:XValidation:rule="duration(self) >= duration('1s') && duration(self) <= duration('24h')",message="job.timeout must be between 1s and 24h"
	// +optional
	Timeout *metav1.Duration `json:"timeout,omitempty"`
	// backoffLimit is how often it is tried again after a failure.
	// +kubebuilder:validation:Minimum=0
	// +kubebuilder:validation:Maximum=10
	// +optional
	BackoffLimit int32 `json:"backoffLimit,omitempty"`
}

// CheckSpec is a question about the world that services of this namespace's Fleets name in their sengu.yaml.
//
// +kubebuilder:validation:XValidation:rule="has(self.http) != has(self.job)",message="a Check asks in exactly one way: set http or job"
type CheckSpec struct {
	// http asks over HTTP.
	// +optional
	HTTP *HTTPCheck `json:"http,omitempty"`
	// job runs a Job.
	// +optional
	Job *JobCheck `json:"job,omitempty"`
}

// Check is a question about the world that Releases ask before they go on.
//
// +kubebuilder:object:root=true
// +kubebuilder:resource:categories=sengu
// +kubebuilder:printcolumn:name="URL",type=string,JSONPath=`.spec.http.url`
// +kubebuilder:printcolumn:name="Image",type=string,JSONPath=`.spec.job.image`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
type Check struct {
	metav1.TypeMeta   `json:",inline"`
	metav1.ObjectMeta `json:"metadata,omitempty"`

	Spec CheckSpec `json:"spec"`
}

// CheckList is a list of Checks.
//
// +kubebuilder:object:root=true
type CheckList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Check `json:"items"`
}
