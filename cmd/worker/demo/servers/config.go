package servers

import "forager/hive/hivetest"

// Config is the configuration of the demonstration. Its times are short: both servers are
// on this machine, and nobody wants to wait for a lost answer as long as in earnest.
func Config(nats, hive string) []string {
	return []string{
		"FORAGER_NATS_URL=" + nats, "FORAGER_NATS_STREAM=DEMO", "FORAGER_NATS_CONSUMER=demo",
		"FORAGER_NATS_SUBJECTS=demo.>", "FORAGER_NATS_MANAGE=true",
		"FORAGER_HIVE_URL=" + hive, "FORAGER_HIVE_API_KEY=" + hivetest.DefaultAPIKey,
		"FORAGER_HIVE_TIMEOUT=3s", "FORAGER_HIVE_SETTLE=4s", "FORAGER_LEDGER_LEASE=6s",
		"FORAGER_PIPELINE_MAX_MESSAGE_BYTES=8MiB", "FORAGER_PIPELINE_MAX_BYTES_HELD=64MiB",
		"FORAGER_LOG_LEVEL=warn", "FORAGER_LOG_FORMAT=text",
	}
}
