// Package apply makes a cluster hold what an App wants: Plan decides what is to be done, as values, and Do does it.
//
// It is responsible for the proof that every write and every delete needs, for the order of writes, for refusing what
// belongs to somebody else, for handing objects over, for adopting what other tools have applied, and for saying of
// each object that failed why, in one sentence. Deciding is pure; doing sends requests through package kube and
// returns what the inventory should hold.
//
// It refuses to remember anything, to watch, to wait for health between waves, and to delete because of an error: an
// object is deleted only if its kind's live state is complete, it carries this App's label and a mark that names this
// App's UID and the object itself, nobody else wants it, and the budget allows it or a person has confirmed it.
package apply
