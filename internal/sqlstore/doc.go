// Package sqlstore keeps the record: every event of every delivery, the logs of Jobs, and what has been told to whom.
//
// It is responsible for one Store over two databases, SQLite (the default: a file, no set-up) and PostgreSQL (a URL, for
// several replicas), with the same behaviour in both; for their schema, which it brings up to date when it opens; for
// recording an event once however often it is appended; and for an outbox that tells each sink every event at least once.
// It refuses to decide what is worth recording, whom to tell and what follows from it (history and the controllers do), to
// open a database that a newer version has written, to make anew a database that has vanished under it, and to write a
// password into an error or a log.
//
// # What holds
//
// An append is one transaction: all of its events are recorded, with a delivery for every registered sink, or none. When it
// returns without an error they are on the disk. Recording is one at a time, so that the order of seq is the order in which
// events become visible; in PostgreSQL, where a sequence alone does not give that, by an advisory lock.
//
// An outbox keeps a row for every event that a sink has not acknowledged yet, and no cursor: nothing can be skipped. Two
// processes that deliver at once may tell a sink something twice.
//
// Every call ends within half a minute (Walk and Prune: each step of them). Whatever failed may be asked again, and works
// again when the database does. A database file is written by processes of one machine only; SQLite cannot lock over a
// network file system.
//
// # Changing the schema
//
// Add a migration to both folders below migrations, and never change one that was released. While Sengu is updated the
// version before it still writes to the new schema for a moment: a migration may add, must give what it adds a default, and
// may make another index of one.
package sqlstore
