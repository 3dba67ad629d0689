// Package notify tells the world outside what happened to a delivery: chats, webhooks and forges.
//
// It is responsible for routes (which event is told where), and for a dispatcher with one worker for each sink, which
// tells every event at least once and in order, waits longer after each failure, and gives an event up, loudly, that a
// sink does not take while it takes others. An outage gives up nothing. Sinks are told an event again after a crash, so
// each has a way to tell it once: an idempotency key, or a message that is updated in place. It only reads the record and
// never holds up a delivery. It refuses to queue: what waits, waits in the store. Tokens, addresses of webhooks and other
// secrets are in no error and no log.
package notify
