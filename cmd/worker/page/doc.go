// Package page is what a worker shows at the root of its operations server: what flows, what is stuck and why, and where
// an alert went.
//
// # Promise
//
// It shows a [Snapshot] that a [Source] gives, and changes nothing. Whatever an event brought along is text on it: every
// value passes the escaping of gomponents, and the policy that goes with each answer allows no script and no style
// but the two files that are embedded here, no request elsewhere, and no frame around it. It works without a script;
// with it, it is live.
//
// # The way of a request
//
//	handler.go   which address shows what
//	guard.go     who may ask: the name that was asked for, credentials, other sites
//	stream.go    server-sent events: parts of the page that changed, and rows that are new
//	layout.go    the document around the parts
//	flow.go chart.go recent.go letters.go attack.go promises.go   the parts
//	opened.go    one message
//	snapshot.go attack_shown.go   what they show
//
// # Limits
//
// At most [MostViewers] streams are open at a time, each for [StreamFor]. Parts are made once for all viewers, and at
// most every [Every].
//
// # Errors
//
// They are said on the page, where the part would be.
package page
