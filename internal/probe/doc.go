// Package probe takes one look at a service over HTTP, directly or through the API server of the cluster that it runs
// in, and says whether what it saw is as it should be.
//
// It is responsible for telling what is not as it should be from what could not be seen: only an answer is evidence. It
// is responsible too for where a look may lead. The addresses come from repositories whose authors are not trusted, and
// a look is taken from the network of whoever runs Sengu: it changes nothing, follows few redirects, carries no
// credentials anywhere else, and reaches neither a loopback or link-local address nor the metadata of a cloud, whatever a
// name resolves to, unless the operator has allowed that very address. Other addresses of the network that Sengu runs
// in, its own node's among them, are for the policies of that network.
//
// It refuses to wait between looks, to decide what several of them mean, and to repeat to anybody what it was answered:
// a sentence of this package holds no body, no value of a header and no query.
package probe
