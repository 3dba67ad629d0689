// Package image knows what names a container image, and which of the images of a repository a service should run.
//
// It is responsible for references (repository, tag, digest), for the policies by which a service follows a repository
// (the highest version, the newest build, what one tag leads to, the last by name), and for saying in one sentence why
// an image was chosen, or why none was. It is pure: it is told what a registry holds, and says what it would have to
// know besides.
//
// # What is never chosen
//
// An image whose digest is in quarantine is never chosen, under whatever tag. And a policy never goes back by itself:
// what runs stays, even after its tag was deleted, until something higher (semver), later (newest) or further on
// (alphabetical) is there. There are two exceptions, in which the best of what fits is chosen although it may be older:
// what runs does not fit the policy, or the policy follows one tag (digest), which goes where whoever pushes the tag
// wants it to go.
//
// What runs stays also if it is in quarantine itself: the environments in which it failed have been brought back
// already, and whether an image from before a migration may run again is for people to say.
//
// Whatever is not known is no reason to choose: with a tag that nobody has looked at yet, or a build time that no
// image tells, [Pick] chooses nothing and says what is missing.
package image
