package herald

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/controller/origin"
	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/notify"
	"github.com/sengu-dev/sengu/internal/notify/deployment"
	"github.com/sengu-dev/sengu/internal/notify/slack"
	"github.com/sengu-dev/sengu/internal/notify/webhook"
)

// The keys of the Secrets that routes name.
const (
	keyToken   = "token"
	keySigning = "signingSecret"

	keyURL     = "url"
	keyHMAC    = "signingKey"
	keyCA      = "caFile"
	keyHeaders = "header."
)

// sinkName is the name under which the record knows a route.
func sinkName(fleet *v1alpha1.Fleet, n v1alpha1.Notification) string {
	return fleet.Name + "/" + n.Name
}

// route makes the sink of a route. The error names the route, and what to correct, in a sentence for each mistake.
func (r *Reconciler) route(ctx context.Context, fleet *v1alpha1.Fleet, n v1alpha1.Notification) (notify.Subscription, error) {
	kind := map[bool]string{n.Slack != nil: notify.SlackSink, n.Webhook != nil: notify.WebhookSink, n.Deployments != nil: notify.DeploymentSink}[true]
	events := make([]history.Kind, 0, len(n.Events))
	for _, e := range n.Events {
		events = append(events, history.Kind(e))
	}
	filters, err := notify.Compile([]notify.Route{{
		Name: n.Name, Sink: kind, Fleets: []string{fleet.Name}, Services: n.Services, Environments: n.Environments, Events: events, If: n.If,
	}})
	if err != nil {
		return notify.Subscription{}, err
	}
	var sink notify.Sink
	var needs []any
	switch {
	case n.Slack != nil:
		sink, needs, err = r.slack(ctx, fleet, n)
	case n.Webhook != nil:
		sink, needs, err = r.webhook(ctx, fleet, n)
	default:
		sink, needs, err = r.deployments(ctx, fleet)
	}
	if err != nil {
		return notify.Subscription{}, fmt.Errorf("notification %s: %w", n.Name, err)
	}
	version, err := versionOf(append(needs, n)...)
	if err != nil {
		return notify.Subscription{}, fmt.Errorf("notification %s: %w", n.Name, err)
	}
	if r.sightOf(sinkName(fleet, n)).spec, err = versionOf(n); err != nil {
		return notify.Subscription{}, fmt.Errorf("notification %s: %w", n.Name, err)
	}
	return notify.Subscription{Name: sinkName(fleet, n), Version: version, Filter: filters[0], Sink: sink}, nil
}

// versionOf tells what a sink was made from from anything else.
func versionOf(needs ...any) (string, error) {
	text, err := json.Marshal(needs)
	if err != nil {
		return "", fmt.Errorf("encode what it is made from: %w", err)
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:16]), nil
}

// secret reads the Secret that a field names, which may hold the keys, and others that begin as more says.
func (r *Reconciler) secret(ctx context.Context, fleet *v1alpha1.Fleet, field, name, more string, keys ...string) (*corev1.Secret, error) {
	secret := &corev1.Secret{}
	if err := r.Client.Get(ctx, types.NamespacedName{Namespace: fleet.Namespace, Name: name}, secret); err != nil {
		return nil, unread(fmt.Sprintf("Secret %s that %s names", name, field), err)
	}
	if len(secret.Data[keys[0]]) == 0 {
		return nil, fmt.Errorf("the Secret %s that %s names has no key %q", name, field, keys[0])
	}
	for _, key := range slices.Sorted(maps.Keys(secret.Data)) {
		if !slices.Contains(keys, key) && (more == "" || !strings.HasPrefix(key, more)) {
			return nil, fmt.Errorf("the Secret %s that %s names has the unknown key %q: known are %s", name, field, notify.Text(key, 80), known(keys, more))
		}
	}
	return secret, nil
}

func known(keys []string, more string) string {
	if more != "" {
		keys = append(slices.Clone(keys), more+"NAME")
	}
	return strings.Join(keys, ", ")
}

// trimmed is a value without the line break that editors leave at its end.
func trimmed(value []byte) string { return strings.TrimSpace(string(value)) }

func (r *Reconciler) slackSecret(ctx context.Context, fleet *v1alpha1.Fleet, s *v1alpha1.SlackNotification) (*corev1.Secret, error) {
	return r.secret(ctx, fleet, "slack.secretRef", s.SecretRef.Name, "", keyToken, keySigning)
}

// token reads the token of a Slack app anew for each call.
func (r *Reconciler) token(fleet *v1alpha1.Fleet, s *v1alpha1.SlackNotification) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		secret, err := r.slackSecret(ctx, fleet, s)
		if err != nil {
			return "", err
		}
		return trimmed(secret.Data[keyToken]), nil
	}
}

func (r *Reconciler) slack(ctx context.Context, fleet *v1alpha1.Fleet, n v1alpha1.Notification) (notify.Sink, []any, error) {
	secret, err := r.slackSecret(ctx, fleet, n.Slack)
	if err != nil {
		return nil, nil, err
	}
	if _, err := r.identities(fleet, n.Slack); err != nil {
		return nil, nil, fmt.Errorf("slack: %w", err)
	}
	sink, err := slack.New(slack.Options{
		Token: r.token(fleet, n.Slack), Channel: n.Slack.Channel, APIURL: n.Slack.API, ReadOnly: len(secret.Data[keySigning]) == 0,
		Logger: r.Log, Now: r.Now,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("slack: %w", err)
	}
	return sink, []any{secret.UID, secret.ResourceVersion}, nil
}

func (r *Reconciler) webhook(ctx context.Context, fleet *v1alpha1.Fleet, n v1alpha1.Notification) (notify.Sink, []any, error) {
	secret, err := r.secret(ctx, fleet, "webhook.secretRef", n.Webhook.SecretRef.Name, keyHeaders, keyURL, keyHMAC, keyCA)
	if err != nil {
		return nil, nil, err
	}
	options := webhook.Options{
		URL: trimmed(secret.Data[keyURL]), SigningKey: []byte(trimmed(secret.Data[keyHMAC])), CA: secret.Data[keyCA], Headers: map[string]string{},
		Template: n.Webhook.Template, ContentType: n.Webhook.ContentType, Proxy: http.ProxyFromEnvironment, Now: r.Now,
	}
	for key, value := range secret.Data {
		if header, ok := strings.CutPrefix(key, keyHeaders); ok {
			options.Headers[header] = trimmed(value)
		}
	}
	if r.Allowed(options.URL) {
		options.Allow = anywhere
	}
	sink, err := webhook.New(options)
	if err != nil {
		return nil, nil, err
	}
	return sink, []any{secret.UID, secret.ResourceVersion}, nil
}

// anywhere is every address there is.
var anywhere = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

func (r *Reconciler) deployments(ctx context.Context, fleet *v1alpha1.Fleet) (notify.Sink, []any, error) {
	made, err := r.Forges.Of(ctx, fleet)
	if errors.Is(err, origin.ErrNoForge) {
		return nil, nil, errors.New("deployments are shown on a forge, and the fleet uses none: set forge.kind, and a Secret with a token in forge.secretRef")
	}
	if passes(err) {
		return nil, nil, &awayError{"what opens the forge", err}
	}
	if err != nil {
		return nil, nil, err
	}
	sink, err := deployment.New(deployment.Options{Forge: board{made, fleet.Spec.Git.Branch, r.Now}})
	if err != nil {
		return nil, nil, err
	}
	secret := &corev1.Secret{}
	_, name := origin.ForgeSecret(fleet)
	if err := r.Client.Get(ctx, types.NamespacedName{Namespace: fleet.Namespace, Name: name}, secret); err != nil {
		return nil, nil, unread(fmt.Sprintf("Secret %s, which opens the forge,", name), err)
	}
	return sink, []any{fleet.Spec.Git.URL, fleet.Spec.Git.Branch, fleet.Spec.Forge, name, secret.UID, secret.ResourceVersion}, nil
}
