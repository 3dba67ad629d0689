// Package slack tells events in a channel of Slack, and takes the buttons that are pressed there.
//
// It is responsible for one message for each Release, or one for all Releases of a commit where they form a group, which
// is updated in place; for a reply in its thread for each event; for the buttons and for finding out who pressed them.
// The app needs the scopes chat:write and, for the case below, channels:history (groups:history for a private channel);
// identities by e-mail need users:read.email. Slack's own limits count: one message a second and channel.
//
// A message is posted once. Before a message or a reply is sent, it is remembered that it may have been; when the answer
// never comes, because Slack or Sengu broke down, it is looked for by its metadata before it is sent again, among the
// messages since then, at most a thousand. Only when it cannot be looked for, because the scope is missing, is it sent a
// second time, which is logged. In a group of more than ten Releases only failures and what people did get a reply.
//
// It refuses to let what strangers write be more than text: titles of commits, names and reasons mention nobody, link
// nowhere and format nothing. It takes no button without Slack's signature, no signature twice or later than five
// minutes, and nothing from a person whom the identities do not name. Tokens and addresses to answer to are in no error
// and no log.
package slack
