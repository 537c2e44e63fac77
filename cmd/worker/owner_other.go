//go:build !unix

package main

import "io/fs"

const permits = false

func ours(fs.FileInfo) bool { return false }
