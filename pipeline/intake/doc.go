// Package intake puts events that somebody hands over into the stream of detections.
//
// Promise: [Store.Put] returns a [Receipt] only after the stream has stored the event, or tells that it had it before
// under the same id. Every error says whether sending it again can help ([Refusal]).
//
// Limits: an event is one message, of at most what the server takes; it is stored once for each id within the stream's
// duplicate window (two minutes unless the stream says otherwise). An error after which nobody knows whether
// the stream has it is [Unknown]: sent again with its id, it is there once.
//
// Permissions: FORAGER_INTAKE in deploy/nats/permissions.conf, to publish on the subjects and nothing else.
package intake
