// Package image builds the worker's image and runs it as operators do.
//
// Promise: the image of deploy/Dockerfile is below its size, runs as any user id on a read-only
// file system, is ready in under a second where NATS is, and stops within two. Two clones of one
// commit make the same binary, and nothing in it keeps the linker from leaving out what is unused.
//
// Limits: base images cannot be pulled everywhere, so the binary is compiled here and the
// Dockerfile's target "prebuilt" takes it in; the stage that compiles in a container is not run.
// The tests are behind the build tag integration: "make integration" runs them, where a container
// engine answers.
package image
