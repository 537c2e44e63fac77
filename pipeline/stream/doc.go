// Package stream reaches NATS, keeps reaching it, and knows what a worker has there.
//
// It promises a [Link] that never gives up: a server that is down, restarts or refuses the
// credentials for now is tried again for ever, and credentials, keys and certificates are read
// again at each reconnect, so that they rotate without a restart. What a server's permissions
// refuse is remembered and told in words, since a refused request has no answer but a time-out.
//
// The way: connect.go makes the link and hears what happens to it; credentials.go is who we are;
// topology.go names the streams, the consumer and the bucket; ensure.go creates what is missing of
// them; drift.go compares them with the configuration, and adjusts; lag.go measures how far behind
// the consumer is; names.go holds the rules of names, subjects and filters; faults.go says what
// JetStream's errors mean. Nothing here knows what a message means.
//
// Limits: a request ends after [APITimeout], an attempt to connect after [Connection].Timeout, and
// at most twenty refused subjects are remembered. Errors: [ErrConnection] and [ErrTopology] are what
// no waiting cures, [ErrLedgerGone] what somebody must decide, [ErrNotConnected] what waiting does
// cure; all others are the client's own, wrapped.
package stream
