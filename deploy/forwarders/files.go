package forwarders

import "embed"

// Files has a folder for each way in, as the folders beside this file: the forwarder's configuration, and in sample.* what it sends.
//
//go:embed */*
var Files embed.FS
