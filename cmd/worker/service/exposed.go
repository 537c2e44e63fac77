package service

import (
	"fmt"
	"io/fs"
	"maps"
	"net"
	"net/url"
	"os"
	"slices"
	"strings"

	"go.uber.org/zap"

	"forager/config"
)

// Exposed tells where others may read what only Forager and its servers should: each with its
// remedy, one line. None keeps the worker from working.
func Exposed(c *config.Config) []string {
	var all []string
	if u, err := url.Parse(c.Hive.URL); err == nil && strings.EqualFold(u.Scheme, "http") && !loopback(u.Hostname()) {
		all = append(all, "hive.url: http:// to "+u.Host+": the account's key and every case pass readable on the way; use https://, with hive.caFile where the certificate is your own")
	}
	for address := range strings.SplitSeq(c.NATS.URL, ",") {
		if address = strings.TrimSpace(address); !strings.Contains(address, "://") {
			address = "nats://" + address // as the client reads it
		}
		u, err := url.Parse(address)
		if err != nil || encrypted(u.Scheme) || loopback(u.Hostname()) {
			continue
		}
		if what := passesReadable(c.NATS, u); what != "" {
			all = append(all, "nats.url: "+u.Scheme+":// to "+u.Host+" with "+what+", which passes readable on the way; use tls://, with nats.caFile where the certificate is your own")
		}
	}
	files := secretFiles(c)
	for _, key := range slices.Sorted(maps.Keys(files)) {
		if mode, open := othersRead(files[key]); open {
			all = append(all, fmt.Sprintf("%s: file of mode %04o, which others on this host may read; chmod 0600, or in Kubernetes defaultMode: 0440 of the volume with fsGroup of the pod", key, mode))
		}
	}
	return all
}

// tellExposed logs them, once at the start.
func tellExposed(c *config.Config, log *zap.Logger) {
	for _, line := range Exposed(c) {
		log.Warn(line)
	}
}

func encrypted(scheme string) bool {
	return strings.EqualFold(scheme, "tls") || strings.EqualFold(scheme, "wss")
}

// loopback tells whether an address does not leave the host.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") || ip != nil && ip.IsLoopback()
}

// passesReadable names what a connection without TLS shows to who listens; empty is nothing. Of
// NKeys and credentials files the server sees a signature alone. Certificates ask for TLS, whatever
// the address says.
func passesReadable(n config.NATS, u *url.URL) string {
	_, inAddress := u.User.Password()
	switch {
	case n.CAFile != "" || n.CertFile != "" || n.TLSFirst:
		return ""
	case !n.Password.Empty() || n.PasswordFile != "" || inAddress:
		return "a password"
	case !n.Token.Empty() || n.TokenFile != "" || u.User.Username() != "":
		return "a token"
	default:
		return ""
	}
}

// secretFiles are the files that hold secrets.
func secretFiles(c *config.Config) map[string]string {
	all := map[string]string{
		"nats.passwordFile": c.NATS.PasswordFile, "nats.tokenFile": c.NATS.TokenFile, "nats.credsFile": c.NATS.CredsFile,
		"nats.nkeyFile": c.NATS.NKeyFile, "nats.keyFile": c.NATS.KeyFile,
		"hive.apiKeyFile": c.Hive.APIKeyFile, "hive.passwordFile": c.Hive.PasswordFile, "hive.keyFile": c.Hive.KeyFile,
		"ops.tokenFile": c.Ops.TokenFile, "ops.passwordFile": c.Ops.PasswordFile,
		"webhook.tokenFile": c.Webhook.TokenFile, "webhook.passwordFile": c.Webhook.PasswordFile,
	}
	for i, s := range c.Intake.Sources {
		at := fmt.Sprintf("intake.sources[%d].", i)
		all[at+"tokenFile"], all[at+"passwordFile"], all[at+"keyFile"] = s.TokenFile, s.PasswordFile, s.KeyFile
	}
	return all
}

// othersRead tells whether a file is readable for more than its reader needs: for everybody, or,
// where it is our own, for our group. What is root's is ours by the group alone.
func othersRead(file string) (mode fs.FileMode, open bool) {
	if file == "" {
		return 0, false
	}
	info, err := os.Stat(file)
	if err != nil || !info.Mode().IsRegular() {
		return 0, false
	}
	mode = info.Mode().Perm()
	return mode, permits && (mode&0o004 != 0 || ours(info) && mode&0o040 != 0)
}
