package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	discovery "k8s.io/api/apidiscovery/v2"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// aggregated asks for every kind of the server in one answer. Servers before 1.30 know only the older name of it.
const aggregated = "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList," +
	"application/json;g=apidiscovery.k8s.io;v=v2beta1;as=APIGroupDiscoveryList"

// catalog is what a server says of its kinds.
type catalog struct {
	// resources by kind and version.
	resources map[schema.GroupVersionKind]Resource
	// versions that each group serves, the preferred one first.
	versions map[string][]string
	// silent lists the versions whose own server did not answer, as those of a broken APIService.
	silent map[schema.GroupVersion]bool
}

// discover asks the server for its kinds.
func (c *Conn) discover(ctx context.Context) (*catalog, error) {
	found := &catalog{
		resources: map[schema.GroupVersionKind]Resource{},
		versions:  map[string][]string{},
		silent:    map[schema.GroupVersion]bool{},
	}
	for _, path := range []string{"/api", "/apis"} {
		body, err := c.Do(ctx, Request{Verb: "discover", Path: path, Accept: aggregated})
		if err != nil {
			return nil, fmt.Errorf("ask for the kinds of the cluster: %w", err)
		}
		var list discovery.APIGroupDiscoveryList
		if err := json.Unmarshal(body, &list); err != nil {
			return nil, errors.New("ask for the kinds of the cluster: the answer cannot be read")
		}
		if list.Kind != "APIGroupDiscoveryList" {
			return nil, errors.New("ask for the kinds of the cluster: it does not answer in the aggregated form, which Kubernetes has had since 1.27")
		}
		for _, group := range list.Items {
			found.add(group)
		}
	}
	return found, nil
}

func (c *catalog) add(group discovery.APIGroupDiscovery) {
	for _, version := range group.Versions {
		gv := schema.GroupVersion{Group: group.Name, Version: version.Version}
		c.versions[gv.Group] = append(c.versions[gv.Group], gv.Version)
		if version.Freshness == discovery.DiscoveryFreshnessStale {
			c.silent[gv] = true
		}
		for _, r := range version.Resources {
			if r.ResponseKind == nil {
				continue
			}
			gvk := gv.WithKind(r.ResponseKind.Kind)
			// Two resources may answer with one kind; the one that can be listed is the kind's own.
			if _, taken := c.resources[gvk]; taken && !slices.Contains(r.Verbs, "list") {
				continue
			}
			c.resources[gvk] = Resource{
				Kind: gvk, Name: r.Resource, Namespaced: r.Scope == discovery.ScopeNamespace,
				Watchable: slices.Contains(r.Verbs, "watch") && slices.Contains(r.Verbs, "list"),
			}
		}
	}
}

// keep adds what was known before of the versions that do not answer now: that a server is down does not unmake its
// kinds.
func (c *catalog) keep(before *catalog) {
	if before == nil {
		return
	}
	for gvk, resource := range before.resources {
		if _, known := c.resources[gvk]; !known && c.silent[gvk.GroupVersion()] {
			c.resources[gvk] = resource
		}
	}
}

// find returns the resource of gvk; without a version, that of the version which the group prefers.
func (c *catalog) find(gvk schema.GroupVersionKind) (Resource, bool) {
	if gvk.Version != "" {
		r, ok := c.resources[gvk]
		return r, ok
	}
	for _, version := range c.versions[gvk.Group] {
		if r, ok := c.resources[gvk.GroupKind().WithVersion(version)]; ok {
			return r, true
		}
	}
	return Resource{}, false
}

// mute says whether gvk may be a kind of a version that does not answer.
func (c *catalog) mute(gvk schema.GroupVersionKind) bool {
	for gv := range c.silent {
		if gv.Group == gvk.Group && (gvk.Version == "" || gv.Version == gvk.Version) {
			return true
		}
	}
	return false
}
