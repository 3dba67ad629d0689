// Package worker is what runs inside a render process: it turns files, which it asks its parent for, into objects.
//
// The process gives up all it could do harm with before it reads the first byte of a job: it opens no file, no socket
// and no program, and it may only talk to its parent. The package therefore refuses whatever would need one of them,
// by name: exec and container functions of kustomize, bases and files from the network that the parent does not hand
// over, templates whose output is not decided by their input. It never looks at the machine, its clock included.
package worker
