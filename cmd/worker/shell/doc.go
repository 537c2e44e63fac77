// Package shell is what every command of the worker stands on: the streams and the environment that it was called with, and how a
// command is described, refused and explained.
//
// Its way: shell.go has the streams and tells mistakes of the caller ([UsageError]) from failures; printer.go keeps what somebody else
// wrote from steering a terminal; command.go makes commands that look and fail alike; help.go writes their help; version.go says what
// was built.
//
// Its limits: it knows no command, no configuration and no server.
package shell
