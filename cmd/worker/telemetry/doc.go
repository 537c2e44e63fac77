// Package telemetry sends traces to an OpenTelemetry collector over OTLP/HTTP, when the standard
// OTEL_* variables ask for it. A collector that is slow or away never holds a detection up: spans
// that do not fit into the queue are lost, counted, and told of once.
//
// The way of a span:
//
//	environment.go  what the variables say, and what is wrong with them
//	calls.go        a span for each attempt of a call at TheHive
//	queue.go        a bounded number of spans on their way; what is lost is counted
//	telemetry.go    start and stop
//
// Limits: the queue (OTEL_BSP_MAX_QUEUE_SIZE, 2048 spans), a delivery
// (OTEL_EXPORTER_OTLP_TIMEOUT, 10 s), and two seconds for the last spans when the worker stops.
//
// Errors: [Start] and [Check] refuse a variable that is wrong, by its name and without its value
// where that may be a secret. Afterwards there are only warnings in the log.
package telemetry
