// Package delivery reads sengu.yaml, the file that says how one service is delivered: the chart that it is made of, the
// fields that others set, rules for its health, how it may be pruned, and what of that differs by environment.
//
// It is pure: it reads through the fs.FS that it is given and decides nothing about a cluster. It refuses what it does
// not understand (a field that does not exist, twice the same key, a value of another type, a second document, a
// path out of the repository) with the file, the line and the nearest field that does exist. It never repeats a value
// of the file in an error, because values may be secrets.
package delivery
