// Package deployment shows on a forge which commit is on its way to which environment, and which has arrived.
//
// It is responsible for turning events into deployments, one for each service, environment and commit, and into statuses
// of the commit. Of several events about the same place only the last one counts, so a change of a thousand services
// costs what its last states cost. A state that the forge has already is not sent again, and an older event never takes
// the place of a newer one. It refuses to talk to a forge itself: whoever makes it brings a Forge.
package deployment
