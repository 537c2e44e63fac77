// Package stream reaches NATS and keeps reaching it.
//
// It promises a [Link] that never gives up: a server that is down, restarts or refuses the
// credentials for now is tried again for ever, and credentials, keys and certificates are read
// again at each reconnect, so that they rotate without a restart. What a server's permissions
// refuse is remembered and told in words, since a refused request has no answer but a time-out.
//
// The way: connect.go makes the link and hears what happens to it; credentials.go is who we are;
// faults.go names what JetStream's errors mean; names.go holds the rules of JetStream's names and
// filters. Nothing here knows what a message means.
//
// Limits: a request ends after [APITimeout], an attempt to connect after [Connection].Timeout, and
// at most twenty refused subjects are remembered. Errors: [ErrConnection] is what no waiting cures,
// [ErrNotConnected] what waiting does; all others are the client's own, wrapped.
package stream
