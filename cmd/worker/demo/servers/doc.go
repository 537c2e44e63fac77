// Package servers has what stands around a worker in the demonstration and in tests: the configuration for an embedded NATS and a simulated
// TheHive (config.go), the ATT&CK patterns that this TheHive holds (patterns.go), and a forwarder, which publishes events as that of a
// SIEM does (forwarder.go).
package servers
