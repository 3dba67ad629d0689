// Package postgrestest runs a real PostgreSQL server for tests, from the programs of the system, in a folder of its own.
//
// It is responsible for a server that is reached through a Unix socket in that folder, with a password, that can be killed
// and started again, and that does not outlive the process that started it. It never runs as root: when the tests do, it
// runs as the user postgres, or else nobody. It refuses to fall back to anything: without the programs, tests fail and say
// what to install.
package postgrestest
