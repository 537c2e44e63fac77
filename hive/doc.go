// Package hive speaks TheHive 5's REST API: cases, observables, comments,
// procedures, tasks, pages, attachments, patterns and queries, as the worker
// needs them.
//
// # Promise
//
// Every call goes through one function and fails with one type. An [*Error]
// says what the caller has to know after a failed write: whether nothing can
// have happened ([Error.Refused]), whether TheHive undid what it began
// ([Error.RolledBack]), or whether only a look at TheHive can tell
// ([Error.Ambiguous]). A write that may have happened is never sent again:
// not by this package, not by net/http beneath it. Input that TheHive cannot
// accept is an [*InvalidError] before any byte is sent.
//
// Reads are tried three times. A write that was surely refused (TheHive's
// own 429 or 503, no connection) is sent again in place, at most five times within two
// seconds. Everything else is the caller's decision.
//
// # The way of a call
//
//	case.go … attachment.go   a method for each call, beside what it sends and gets; limit.go: what TheHive stores
//	filter.go, query.go       what is asked of a list, page by page
//	do.go                     the one function: request, time-out, verdict
//	attempt.go                waits for leave (package throttle), and tries again what is safe
//	client.go, options.go     as whom, and how
//	package wire              connections; the guard asks before the first byte of a write
//	answer.go                 reads to a bound; error.go: what a failure says
//
// # Limits
//
// [Options.Concurrency] bounds the calls in flight, [Options.Timeout] each
// attempt, [Options.MaxResponseBytes] what an answer may weigh once it is
// decompressed. Texts are bounded by what TheHive stores (see [MaxTitle] and
// its neighbours). Redirects are not followed: they would carry the key.
//
// The package returns errors and never logs; [Options.Observe] sees every
// attempt. Neither an [Options] nor an [*Error] ever prints a secret.
//
// # Units
//
// TheHive counts time in milliseconds since 1970, UTC: [Millis]. Severities
// are 1 (low) to 4 (critical), TLP is 0 (CLEAR) to 4 (RED; 3 is
// AMBER+STRICT), PAP is 0 (CLEAR) to 3 (RED). Since 0 is a real TLP and PAP,
// they are pointers where they may be left out: new(0) is CLEAR, nil is
// TheHive's default.
//
// # Example
//
//	client, err := hive.New(hive.Options{URL: "https://thehive.example.org", APIKey: key})
//	if err != nil {
//		return err
//	}
//	for c, err := range client.FindCases(ctx, hive.Query{Filter: hive.Eq("tags", "phishing")}) {
//		if err != nil {
//			return err
//		}
//		fmt.Println(c.Number, c.Title)
//	}
//
// The paths and fields are those of TheHive's OpenAPI 5.5.13; 5.6 and 5.7 add
// fields, which are ignored, and take none of those used here away.
package hive
