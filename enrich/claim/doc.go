// Package claim lets one holder at a time have a key or a case, across replicas.
package claim
