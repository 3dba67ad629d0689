// Package kube is one connection to one cluster.
//
// It is responsible for bytes in and bytes out over few, long-lived HTTP connections, for sending as many requests at
// once as the API server can take and no more, for knowing which kinds the cluster has, for acting as a service
// account where it is told to, and for counting what it sent. It reads kubeconfigs, and refuses in them whatever would
// let their author run programs or read files that the operator of Sengu has not allowed.
//
// It refuses to know anything of Apps, of what should run, or of what was seen before. Its errors are those of
// k8s.io/apimachinery/pkg/api/errors where the API server answered, and never carry credentials.
package kube
