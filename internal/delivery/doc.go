// Package delivery reads sengu.yaml, the file that says how one service is delivered: the chart that it is made of, the
// fields that others set, rules for its health, how it may be pruned, the images that it follows, the Jobs and checks
// that a change has to pass, and what of that differs by environment.
//
// It is pure: it reads through the fs.FS that it is given and decides nothing about a cluster. It refuses what it does
// not understand (a field that does not exist, twice the same key, a value of another type, a second document, a
// path out of the repository, two steps of one name, an environment that skips what is not there) with the file, the line
// and the way out, such as the nearest field that does exist. It never repeats a value of the file in an error, because
// values may be secrets, but for the name of a step, a check or an image.
package delivery
