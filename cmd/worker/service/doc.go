// Package service wires a worker from its configuration and runs it: it alone knows both what an operator writes (package config) and the
// options of the packages that do the work, so that neither knows the other.
//
// Its way: wire.go turns the configuration into options, spool.go the folder of files (package rulefiles has routes, lists and formats);
// mistakes.go gives everything that is wrong with a configuration at once; exposed.go tells what others can read; clients.go has one client for
// each organisation of TheHive, rotating.go the secrets that may be exchanged while it runs; service.go makes the worker and runs it ([New],
// Serve); start.go waits for both servers; live.go and reload.go change rules between two messages; measures.go, ops.go, logging.go and
// tracing.go show how it does; webhook.go takes in what analysts do, and feedback.go tells sources of it. replay.go wires what a replay needs.
//
// Its errors: a mistake in the configuration is a *config.Error with file, line and key, one that no waiting cures a *shell.UsageError;
// servers that do not answer are waited for and are no error.
package service
