// Package licences lists under which terms the parts of the worker's binary are used.
//
// Promise: licences.txt names every module that the binary holds with its version's licence, and
// a module with terms that are not among the permissive ones of the list fails the test.
//
// Limits: a licence is recognised by its own words in the module's licence file; it is no legal
// advice. After a change of dependencies, go test ./deploy/licences -update writes the list anew.
package licences
