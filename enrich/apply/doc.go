// Package apply makes TheHive agree with plans, idempotently.
package apply
