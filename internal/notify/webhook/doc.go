// Package webhook tells events to any program that takes a POST.
//
// It is responsible for the request: a JSON of a fixed form, or a body by a template; headers from Secrets; a signature.
// The body, unless a template makes it, is
//
//	{
//	  "version": 1,
//	  "type": "sengu.failed",
//	  "timestamp": "2030-04-01T09:00:00Z",
//	  "data": {
//	    "key": "...", "kind": "failed", "fleet": "shop", "service": "checkout", "environment": "staging",
//	    "release": "...", "group": "...", "revision": "...", "previous": "...",
//	    "title": "...", "author": "...", "committed": "2030-04-01T08:00:00Z",
//	    "images": [{"name": "...", "tag": "...", "digest": "..."}],
//	    "by": "...", "why": "...", "loud": false, "untouched": false
//	  }
//	}
//
// in which every field is always there, empty when there is nothing to say; committed is null then. Loud is true for what
// must not be overlooked, and untouched for a failure before anything was applied. Fields may be added and never change.
//
// The request is a Standard Webhook (standardwebhooks.com): Webhook-Id and Idempotency-Key are the key of the event, the
// same however often it is sent, in which bytes other than letters, digits and _ : / - are written as %XX;
// Webhook-Timestamp is the time of sending in seconds since 1970; and with a signing key Webhook-Signature is "v1," and the
// base64 of the HMAC-SHA256 of "ID.TIMESTAMP.BODY". A receiver compares the signature, refuses a timestamp more than some
// minutes off, and does nothing for an ID that it has seen. Events come in order, unless one fails again and again, or
// Sengu is restarted while one is being retried: then others overtake it.
//
// An answer of 2xx is taken as told; 400, 413, 415, 422 and the like say that this event will never be taken; the others
// are tried again, after what Retry-After says. It refuses to follow a redirect to another host, to connect to an
// address that only the machine itself should reach (loopback, link-local and with it the metadata services of clouds)
// unless it is allowed by prefix, and to repeat anything that the receiver answered, because that may hold what was sent.
package webhook
