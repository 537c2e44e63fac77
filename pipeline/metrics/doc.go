// Package metrics counts what happens, for Prometheus.
//
// Promise: a counter is there before its first event, so that the first is an increase; no label holds anything of an
// event, and no label has more than a hundred-odd values. The reference in docs/reference/metrics.md is written by the same code.
//
// Its way:
//
//	metrics.go    the metrics, and what tells them: settlements, gates, notices, events of applies, calls, the lag
//	documents.go  what stands beside the messages: the webhook's documents, spans that got lost
//	register.go   registration, gauges that are read at each scrape, the reference
//	words.go      the bound of a label's values
//
// Limits: it counts for one process. Errors: of the registry, from [New] and [Metrics.Watch] alone.
package metrics
