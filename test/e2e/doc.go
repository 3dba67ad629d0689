// Package e2e tests Sengu as a whole: the built programs, real control planes, a real Git server with a webhook, and
// faults.
//
// It is responsible for every promise that only shows end to end: what a push does in each environment, what kill -9,
// lost servers, hostile repositories and other people's writes do to it, and that no Secret value comes out anywhere.
// It refuses to look inside: it knows the programs, the API objects and the files, and nothing of the code between.
package e2e
