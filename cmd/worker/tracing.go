package main

import (
	"context"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"forager/cmd/worker/telemetry"
)

// startTraces begins as OpenTelemetry's variables say; a wrong one is a mistake of the caller.
func startTraces(ctx context.Context, env []string, log *zap.Logger) (*telemetry.Traces, error) {
	traces, err := telemetry.Start(ctx, telemetryOptions(env, log))
	if err != nil {
		return nil, &usageError{err}
	}
	return traces, nil
}

// checkTraces tells what is wrong with OpenTelemetry's variables.
func checkTraces(env []string) error {
	if err := telemetry.Check(telemetryOptions(env, nil)); err != nil {
		return &usageError{err}
	}
	return nil
}

func telemetryOptions(env []string, log *zap.Logger) telemetry.Options {
	return telemetry.Options{Env: env, Version: buildVersion(), Host: hostname(), Log: log}
}

// traced makes spans of calls from here on; a nil provider makes none. It is called before the first call.
func (c *clients) traced(provider trace.TracerProvider) {
	if provider != nil {
		c.transport.next = telemetry.Transport(c.transport.next, provider)
	}
}
