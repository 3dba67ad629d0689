// Package forgetest is the suite that every kind of forge passes, and a server that answers as a forge is documented to.
//
// It is responsible for saying once what package forge promises, and for running that against a World: a real forge, or
// a Replay of answers that are kept in files. It refuses a request that the files do not hold, one that is repeated where
// it should not be, and a file whose answers nobody asked for. It is for tests only.
package forgetest
