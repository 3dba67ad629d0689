package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/sengu-dev/sengu/api/v1alpha1"
	"github.com/sengu-dev/sengu/internal/history"
	"github.com/sengu-dev/sengu/internal/sqlstore"
)

// api answers what people ask of the history. Who asks shows the token by which the home cluster knows them; the home
// cluster says whether they may read Releases, and Sengu keeps nothing of it.
type api struct {
	records   *records
	home      *rest.Config
	namespace string
	now       func() time.Time
}

func (a *api) routes(mux *http.ServeMux) {
	mux.HandleFunc("GET /api/v1/insights", a.reader(a.insights))
	mux.HandleFunc("GET /api/v1/releases/{release}/logs/{environment}/{step}", a.reader(a.log))
}

// reader lets those through who may read Releases.
func (a *api) reader(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if !ok || token == "" {
			answer(w, http.StatusUnauthorized, "show the token by which the cluster that holds Sengu's objects knows you: Authorization: Bearer …")
			return
		}
		allowed, err := a.mayRead(r.Context(), token)
		switch {
		case apierrors.IsUnauthorized(err):
			answer(w, http.StatusUnauthorized, "the cluster that holds Sengu's objects does not know this token")
		case err != nil:
			answer(w, http.StatusBadGateway, "the cluster that holds Sengu's objects could not be asked whether you may read Releases")
		case !allowed:
			answer(w, http.StatusForbidden, fmt.Sprintf("you may not list releases.%s in namespace %s", v1alpha1.GroupVersion.Group, a.namespace))
		default:
			next(w, r)
		}
	}
}

// mayRead asks the home cluster, in the name of whoever has the token.
func (a *api) mayRead(ctx context.Context, token string) (bool, error) {
	config := rest.AnonymousClientConfig(a.home)
	config.BearerToken = token
	config.Timeout = 10 * time.Second
	set, err := kubernetes.NewForConfig(config)
	if err != nil {
		return false, err
	}
	review := &authorizationv1.SelfSubjectAccessReview{Spec: authorizationv1.SelfSubjectAccessReviewSpec{
		ResourceAttributes: &authorizationv1.ResourceAttributes{Namespace: a.namespace, Verb: "list", Group: v1alpha1.GroupVersion.Group, Resource: "releases"},
	}}
	review, err = set.AuthorizationV1().SelfSubjectAccessReviews().Create(ctx, review, metav1.CreateOptions{})
	if err != nil {
		return false, err
	}
	return review.Status.Allowed, nil
}

// longest is the longest time that insights are measured over.
const longest = 5 * 366 * 24 * time.Hour

func (a *api) insights(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	since := 30 * 24 * time.Hour
	if text := q.Get("since"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 || d > longest {
			answer(w, http.StatusBadRequest, "since must be a duration such as 720h, of five years at most")
			return
		}
		since = d
	}
	now := a.now()
	filter := history.Filter{Fleet: q.Get("fleet"), Service: q.Get("service"), Environment: q.Get("environment"), From: now.Add(-since), To: now}
	found, err := a.records.insights(r.Context(), filter, history.By{Service: q.Get("by") == "service" || filter.Service != "", Environment: true})
	if err != nil {
		answer(w, http.StatusServiceUnavailable, err.Error())
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(found) // whoever asked has gone
}

func (a *api) log(w http.ResponseWriter, r *http.Request) {
	text, err := a.records.jobLog(r.Context(), history.LogKey{
		Release: r.PathValue("release"), Environment: r.PathValue("environment"), Step: r.PathValue("step"),
	})
	switch {
	case errors.Is(err, sqlstore.ErrNotFound):
		answer(w, http.StatusNotFound, "no log of that step is kept: the step has not ended, or was long ago")
	case err != nil:
		answer(w, http.StatusServiceUnavailable, err.Error())
	default:
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write(text) // whoever asked has gone
	}
}
