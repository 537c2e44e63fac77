package service

import (
	"context"

	"go.opentelemetry.io/otel/trace"
	"go.uber.org/zap"

	"forager/cmd/worker/shell"
	"forager/cmd/worker/telemetry"
)

// StartTraces begins as OpenTelemetry's variables say; a wrong one is a mistake of the caller.
func StartTraces(ctx context.Context, env []string, log *zap.Logger) (*telemetry.Traces, error) {
	traces, err := telemetry.Start(ctx, telemetryOptions(env, log))
	if err != nil {
		return nil, shell.Misuse(err)
	}
	return traces, nil
}

// CheckTraces tells what is wrong with OpenTelemetry's variables.
func CheckTraces(env []string) error {
	if err := telemetry.Check(telemetryOptions(env, nil)); err != nil {
		return shell.Misuse(err)
	}
	return nil
}

func telemetryOptions(env []string, log *zap.Logger) telemetry.Options {
	return telemetry.Options{Env: env, Version: shell.Version(), Host: hostname(), Log: log}
}

// traced makes spans of calls from here on; a nil provider makes none. It is called before the first call.
func (c *clients) traced(provider trace.TracerProvider) {
	if provider != nil {
		c.transport.next = telemetry.Transport(c.transport.next, provider)
	}
}
