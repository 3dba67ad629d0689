// Package local runs all of Sengu on one machine, for trying it out: control planes, a Git server with an example
// fleet, and the Sengu server, in a folder of its own.
//
// It is responsible for starting and stopping them as one, for finding what they were on the next start, and for
// leaving no process and no port behind. It refuses to listen on anything but the loopback address, and to touch a
// cluster that it did not start.
package local
