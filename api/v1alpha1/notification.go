package v1alpha1

// Notification says which events of a Fleet are told where.
//
// +kubebuilder:validation:XValidation:rule="[has(self.slack), has(self.webhook), has(self.deployments)].filter(x, x).size() == 1",message="notifications[] needs exactly one of slack, webhook and deployments"
type Notification struct {
	// name of the route.
	// +kubebuilder:validation:Pattern=`^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$`
	// +kubebuilder:validation:MaxLength=40
	Name string `json:"name"`
	// services are names or patterns with * ? and [a-z]; every service without any.
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=128
	// +listType=atomic
	// +optional
	Services []string `json:"services,omitempty"`
	// environments are names or patterns; every environment without any. What is about a whole Release is always told.
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=128
	// +listType=atomic
	// +optional
	Environments []string `json:"environments,omitempty"`
	// events are the kinds that are told, such as waiting, failed and rolled-back; every kind without any.
	// +kubebuilder:validation:MaxItems=64
	// +kubebuilder:validation:items:MaxLength=40
	// +listType=set
	// +optional
	Events []string `json:"events,omitempty"`
	// if is a CEL expression over event that is true for what is told, such as event.loud || event.kind == "failed".
	// +kubebuilder:validation:MaxLength=4096
	// +optional
	If string `json:"if,omitempty"`
	// slack tells in a channel.
	// +optional
	Slack *SlackNotification `json:"slack,omitempty"`
	// webhook posts to an address.
	// +optional
	Webhook *WebhookNotification `json:"webhook,omitempty"`
	// deployments shows them, and statuses of the commits, on the forge of the Fleet.
	// +optional
	Deployments *DeploymentNotification `json:"deployments,omitempty"`
}

// SlackNotification is a channel of Slack.
//
// +kubebuilder:validation:XValidation:rule="has(self.team) || !has(self.identities) || self.identities.all(i, !i.slack.contains('@'))",message="slack.identities are by e-mail address only with the ID of the workspace in slack.team"
type SlackNotification struct {
	// channel is the ID of the channel, such as C0123456789.
	// +kubebuilder:validation:Pattern=`^[CGD][A-Z0-9]{6,30}$`
	Channel string `json:"channel"`
	// secretRef names a Secret of this namespace: "token" is the bot token of the app, and "signingSecret" proves that the
	// buttons were pressed in Slack. Without the latter, messages have no effect beyond being read.
	SecretRef SecretReference `json:"secretRef"`
	// team is the ID of the workspace, such as T0123456789. Without it, nobody is known by an e-mail address.
	// +kubebuilder:validation:Pattern=`^[TE][A-Z0-9]{6,30}$`
	// +optional
	Team string `json:"team,omitempty"`
	// identities say who may press buttons, and as whom. What the person may do is asked of Kubernetes.
	// +kubebuilder:validation:MaxItems=1000
	// +listType=map
	// +listMapKey=slack
	// +optional
	Identities []SlackIdentity `json:"identities,omitempty"`
	// api in the place of Slack's own, for tests and gateways.
	// +kubebuilder:validation:MaxLength=2048
	// +kubebuilder:validation:XValidation:rule="self.matches('^https?://[^/@]+.*/$')",message="slack.api must begin with https:// or http:// and end with a slash"
	// +optional
	API string `json:"api,omitempty"`
}

// SlackIdentity ties a user of Slack to a person.
type SlackIdentity struct {
	// slack is the ID of the user, such as U0123456789, or the e-mail address that Slack has confirmed.
	// +kubebuilder:validation:MinLength=3
	// +kubebuilder:validation:MaxLength=254
	Slack string `json:"slack"`
	// user of Kubernetes that the person acts as.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="!self.startsWith('system:')",message="identities[].user must not begin with system:, which are Kubernetes' own"
	User string `json:"user"`
	// groups of Kubernetes that the person is in.
	// +kubebuilder:validation:MaxItems=32
	// +kubebuilder:validation:items:MaxLength=253
	// +kubebuilder:validation:XValidation:rule="self.all(g, !g.startsWith('system:'))",message="identities[].groups must not begin with system:, which are Kubernetes' own"
	// +listType=set
	// +optional
	Groups []string `json:"groups,omitempty"`
}

// WebhookNotification is any program that takes a POST.
type WebhookNotification struct {
	// secretRef names a Secret of this namespace: "url" is where events are posted, "signingKey" signs them, every key
	// that begins with "header." is a header, such as header.Authorization, and "caFile" holds the certificates that are
	// trusted in the place of the system's.
	SecretRef SecretReference `json:"secretRef"`
	// template of the body in the language of text/template; a JSON of a fixed form without it.
	// +kubebuilder:validation:MaxLength=16384
	// +optional
	Template string `json:"template,omitempty"`
	// contentType of what the template makes.
	// +kubebuilder:default=application/json
	// +kubebuilder:validation:MaxLength=128
	// +optional
	ContentType string `json:"contentType,omitempty"`
}

// DeploymentNotification shows deployments on the forge that spec.forge names.
type DeploymentNotification struct{}
