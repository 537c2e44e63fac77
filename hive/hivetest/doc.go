// Package hivetest is a TheHive 5 that lives in memory and can be told to misbehave.
//
// It promises to answer as TheHive 5.5.13 answers, byte for byte where its API description says so: real evaluation of
// queries, case numbers, dates in milliseconds, permissions, uniqueness where TheHive has it (alerts, observables) and
// none where it has none (cases, procedures, comments, tasks, pages), merges, deletes that cascade, and its odd status
// codes (201 with arrays, 207, 400 for "already exists"). Where the real server is lenient or unknown it is stricter: a
// property that TheHive's API description does not know is refused, so that a client's wrong field name fails a test.
//
// It shares nothing with the client of this module, and imports neither testing nor net/http/httptest, since it is
// linked into the command.
//
// The way of a request: hive.go (options, counters, listening), serve.go (route, answer, problem), user.go (who asks, and may),
// routes.go (which handler), query.go, steps.go, filter.go (queries), schema.go (what a body may hold), quirks.go (what one release
// or one server does and another does not, and who sees a restricted case), then a file a resource, access.go for shares, cortex.go,
// elsewhere.go for archives, MISP and an organisation's own pages; store.go keeps it, render.go writes it, audit.go tells webhooks; faults.go misbehaves; snapshot.go shows it to tests,
// state.go keeps it in a file.
//
// Limits: everything is held in memory, attachments too (a state file is written as a whole); one server, no cluster. What of TheHive's API description is not served has
// its reason in routes_test.go: mainly what belongs to its web page, its database, its feeders and its functions (an absent endpoint
// answers TheHive's own 404). Archives of cases are in a form of this server's own.
//
// Example of use:
//
//	h := hivetest.New(hivetest.Options{})
//	server, err := hivetest.Listen("127.0.0.1:0", h)
//	if err != nil {
//		return err
//	}
//	defer server.Close()
//	h.Set(hivetest.Misbehaviour{Latency: 20 * time.Millisecond, Ambiguous: 0.05})
//	// … point a client at server.URL(), with hivetest.DefaultAPIKey …
//	fmt.Println(h.Stats(0).Duplicates)
package hivetest
