// Package answertest makes the errors that calls of TheHive end with, for tests of those who judge an apply
// and know no TheHive.
//
// # Promise
//
// Every error is a *hive.Error as the client gives it. The package is imported by tests alone.
package answertest

import (
	"net/http"
	"syscall"

	"forager/hive"
)

// Own is TheHive's own error answer to a write: an HTTP status of 400 and more, and its type.
func Own(status int, kind string) error {
	e := write(status)
	e.Type = kind
	return e
}

// Foreign is a proxy's answer to a write, with an HTTP status and the beginning of its body.
func Foreign(status int, body string) error {
	e := write(status)
	e.Message = body
	return e
}

// ForeignRead is a proxy's answer to a read.
func ForeignRead(status int) error {
	return &hive.Error{Op: "get case", Method: http.MethodGet, Path: "/api/v1/case/~1", Status: status, Sent: true}
}

// Reset is a write whose connection ended before an answer.
func Reset() error {
	e := write(0)
	e.Err = syscall.ECONNRESET
	return e
}

// Unheard is a write that nothing listened to.
func Unheard() error {
	e := write(0)
	e.Sent, e.Err = false, syscall.ECONNREFUSED
	return e
}

// Cut is a success whose answer ended in its middle.
func Cut() error {
	e := write(http.StatusCreated)
	e.Err = hive.ErrShape
	return e
}

func write(status int) *hive.Error {
	return &hive.Error{Op: "create case", Method: http.MethodPost, Path: "/api/v1/case", Status: status, Sent: true}
}
