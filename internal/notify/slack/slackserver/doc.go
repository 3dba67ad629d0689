// Package slackserver is a stand-in for Slack, for tests only: there is no Slack on loopback.
//
// It is responsible for answering the few methods that Sengu calls in the form in which Slack answers them, for keeping
// the messages of a channel, and for being stricter than Slack: whatever Slack's reference does not allow is written down
// as a violation, which a test ends with looking for. It fails when it is told to, also after it has done what was asked.
// It refuses every method, argument and block that it does not know.
package slackserver
