// Package intake takes events in over HTTP, from senders that cannot publish to NATS, and hands them to the stream.
//
// # Promise
//
// An event is answered with 202 only after the stream has stored it, and with anything else only when it is not there, or
// when nobody knows (503, "no answer"): sent again, it is there once. The worker's stream is all that is needed;
// TheHive may be down. No body is ever logged, and no body goes further whose sender is not known.
//
// # The way of a request
//
//	POST /v1/detections              to the subject of the source
//	POST /v1/detections/eu/prod      to <subject>.eu.prod
//
// handler.go takes one; source.go knows the sender by a bearer token, by Basic, or by a signature of the body
// (signature.go); handshake.go answers services that ask before they send; limit.go holds each sender to its rate and to what may be in hand; body.go reads, with
// Content-Encoding gzip, and asks package detection whether anybody could read it; identity.go gives it the id by
// which the stream knows it again; answer.go answers, and writes one line where something is refused. server.go listens.
//
// One body is one message, whatever it holds: an event, an array, NDJSON, a CloudEvent (in binary mode its ce-… headers go
// along), lines of text. So it is stored whole or not at all.
//
// # Limits
//
// A body has the size of a message at most, before and after decompression. A request takes [Options.ReadWithin] at
// most to arrive. Of requests and bytes in hand, a source has its share at most; what is above is answered with 429 or 503 and
// Retry-After.
//
// # Answers
//
// 202 with {"stream", "sequence", "duplicate"}; 200 to a service that asks whether it may send; else a problem (RFC 9457): 400 unreadable, broken off, or no subject;
// 401 wrong credentials; 404, 405; 408 too slow; 413 too large; 415 content type or encoding; 422 an Idempotency-Key that was
// used for another body; 429 above the rate; 503 not stored now, with Retry-After.
package intake
