package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Identity returns the UID of the kube-system namespace, which no two clusters share and which a cluster keeps for
// life.
func (c *Conn) Identity(ctx context.Context) (string, error) {
	body, err := c.Do(ctx, Request{
		Verb: "get", Path: "/api/v1/namespaces/kube-system",
		Accept: "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
	})
	if err != nil {
		return "", fmt.Errorf("read the identity of the cluster: %w", err)
	}
	var object metav1.PartialObjectMetadata
	if err := json.Unmarshal(body, &object); err != nil || object.UID == "" {
		return "", errors.New("read the identity of the cluster: the namespace kube-system has no UID")
	}
	return string(object.UID), nil
}

// Version returns the version of the API server, such as v1.37.2.
func (c *Conn) Version(ctx context.Context) (string, error) {
	body, err := c.Do(ctx, Request{Verb: "get", Path: "/version"})
	if err != nil {
		return "", fmt.Errorf("read the version of the cluster: %w", err)
	}
	var info struct {
		GitVersion string `json:"gitVersion"`
	}
	if err := json.Unmarshal(body, &info); err != nil || info.GitVersion == "" {
		return "", errors.New("read the version of the cluster: it does not say")
	}
	return info.GitVersion, nil
}
