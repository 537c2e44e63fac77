// Package draft writes a format file for alerts that no format knows, from samples of them.
//
// # Promise
//
// What [Of] writes loads, and reads the samples that it was made of. It is a beginning for somebody who knows the product:
// what is a guess is marked by a comment that begins with "unsure".
//
// # How
//
// gather.go brings the values of each path together; guess.go chooses among them, by well-known names and by what the values look like;
// write.go writes the file. Nothing is read but the samples.
package draft
