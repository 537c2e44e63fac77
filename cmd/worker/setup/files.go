package setup

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io/fs"
	"net"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"forager/config"
	"forager/deploy/forwarders"
	"forager/pipeline/stream"
)

// What is usual.
const (
	defaultNATS   = "nats://127.0.0.1:4222"
	defaultHive   = "http://127.0.0.1:9000"
	defaultIntake = "127.0.0.1:8082"
)

// Names of what is written.
const (
	configName  = "forager.yaml"
	keyName     = "thehive.key"
	streamsName = "make-streams.sh"
)

// answers are what the files are made of. Zero values mean what is usual.
type answers struct {
	dir           string // where the files are written
	nats, creds   string
	context       string // of the nats command, in place of both
	ownStreams    bool
	hive, keyFile string
	key           string // of TheHive, as somebody typed it; empty: it is in keyFile
	organisation  string
	forwarder     string // name of a folder of deploy/forwarders; empty: none
	intake        string // where the forwarder reaches Forager: host and port

	sample string // what the forwarder sends, among the files
}

// file is one that is written.
type file struct {
	name    string // relative, with slashes
	is      string // what it is, for people
	content []byte
	secret  bool
	runs    bool // it is a program
}

// complete fills in what is usual, and refuses what cannot be.
func (a *answers) complete() error {
	a.nats, a.hive, a.intake = cmp.Or(a.nats, defaultNATS), cmp.Or(a.hive, defaultHive), cmp.Or(a.intake, defaultIntake)
	if a.forwarder != "" && !slices.Contains(forwarderNames(), a.forwarder) {
		return fmt.Errorf("--forwarder: %q is none of %s", a.forwarder, strings.Join(forwarderNames(), ", "))
	}
	if _, _, err := net.SplitHostPort(a.intake); err != nil {
		return fmt.Errorf("--intake: %q is no HOST:PORT", a.intake)
	}
	for _, f := range []*string{&a.keyFile, &a.creds} { // the configuration's files are relative to it
		if *f == "" || filepath.IsAbs(*f) {
			continue
		}
		from, err := filepath.Rel(a.dir, *f)
		if err != nil {
			return fmt.Errorf("%s: %w", *f, err)
		}
		*f = filepath.ToSlash(from)
	}
	return nil
}

// files are all that is to be written, the configuration first.
func (a *answers) files() ([]file, error) {
	all := []file{{name: configName, is: "the configuration", content: a.configuration()}}
	if a.key != "" {
		all = append(all, file{name: keyName, is: "TheHive's API key", content: []byte(a.key + "\n"), secret: true})
	}
	if a.ownStreams {
		all = append(all, file{name: streamsName, is: "commands that make the streams", content: []byte(a.streams()), runs: true})
	}
	if a.forwarder == "" {
		return all, nil
	}
	token := rand.Text()
	all = append(all, file{name: a.tokenName(), is: "the secret of " + a.forwarder, content: []byte(token + "\n"), secret: true})
	more, err := a.forwarderFiles(token)
	return append(all, more...), err
}

func (a *answers) tokenName() string { return a.forwarder + ".token" }

// quoted is a text as YAML has it in quotation marks: JSON's texts are YAML's.
func quoted(text string) string {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(text); err != nil { // a string always can be
		return `""`
	}
	return strings.TrimSpace(b.String())
}

// line is a line of the configuration with a comment; those of many lines stand below each other.
func line(text, comment string) string { return fmt.Sprintf("%-32s # %s\n", text, comment) }

// configuration is the configuration file.
func (a *answers) configuration() []byte {
	var b strings.Builder
	usual, t := config.Default().NATS, stream.Topology{}.WithDefaults()
	b.WriteString(`# Forager's configuration, made by "worker init". "worker help config" lists every key.
#   worker check --config forager.yaml --connect   looks whether it works
#   worker run --config forager.yaml               works

nats:
`)
	b.WriteString(a.server())
	b.WriteString(line("  stream: "+usual.Stream, "what holds the alerts"))
	b.WriteString(line("  subjects: ["+quoted(usual.Subjects[0])+"]", "what is read of it"))
	if a.ownStreams {
		b.WriteString(line("  manage: false", streamsName+" makes the streams"))
	} else {
		b.WriteString(line("  manage: true", fmt.Sprintf("makes %s, %s and %s when they are missing", usual.Stream, t.DeadLetters, t.Bucket)))
		b.WriteString(line("  # replicas: 3", "copies of them, in a cluster"))
		b.WriteString(line("  # maxAge: 168h", "how long the stream keeps alerts: longer than the longest outage"))
	}
	b.WriteString("\nhive:\n  url: " + quoted(a.hive) + "\n")
	b.WriteString(line("  apiKeyFile: "+quoted(cmp.Or(a.keyFile, keyName)), "of an account of the type Service, with the profile analyst"))
	if a.organisation != "" {
		b.WriteString("  organisation: " + quoted(a.organisation) + "\n")
	} else {
		b.WriteString(line("  # organisation: soc", "else the account's own"))
	}
	b.WriteString(a.intakeKeys())
	b.WriteString(routesExample)
	return []byte(b.String())
}

// server says where NATS is, and as whom a worker goes there.
func (a *answers) server() string {
	if a.context != "" {
		return line("  context: "+quoted(a.context), "of the nats command: address and credentials")
	}
	text := line("  url: "+quoted(a.nats), "the servers of a cluster are parted by commas")
	if a.creds != "" {
		text += "  credsFile: " + quoted(a.creds) + "\n"
	} else {
		text += line("  # credsFile: forager.creds", "or nkeyFile, or user and passwordFile, or tokenFile")
	}
	return text + line("  # caFile: ca.pem", "where the system does not know who signed the server's certificate")
}

// intakeKeys are the keys of the intake, in comments where there is no sender yet.
func (a *answers) intakeKeys() string {
	sender := cmp.Or(a.forwarder, "wazuh")
	_, port, err := net.SplitHostPort(a.intake)
	if err != nil { // complete refuses it
		port = "8082"
	}
	const about = "who may post alerts over HTTP: each sender has a secret and a subject"
	text := fmt.Sprintf(`  addr: ":%[2]s"
  sources:
    - {name: %[1]s, subject: detections.%[1]s, tokenFile: %[1]s.token}
`, sender, port)
	if a.forwarder != "" {
		return "\n" + line("intake:", about) + text
	}
	return "\n" + line("# intake:", about) + "# " + strings.ReplaceAll(strings.TrimSuffix(text, "\n"), "\n", "\n# ") + "\n"
}

const routesExample = `
# ops:                           # health, metrics, and a page that shows titles and hosts of alerts
#   addr: ":8080"
#   user: soc                    # who may see the page; without it, this host alone
#   passwordFile: ops.password

# Without a route a detection goes to the case of its key, host, user or address.
# routes:
#   - name: noise
#     when: detection.source == "vulnscan" && detection.severity < 4
#     drop: true
`

// streams is the script that makes what "nats.manage: true" would make.
func (a *answers) streams() string {
	usual, t := config.Default().NATS, stream.Topology{}.WithDefaults()
	login := "--server " + shellQuoted(a.nats)
	switch {
	case a.context != "":
		login = "--context " + shellQuoted(a.context)
	case a.creds != "":
		login += " --creds " + shellQuoted(a.creds)
	}
	return fmt.Sprintf(`#!/bin/sh
# Makes in NATS what Forager needs. In a cluster set REPLICAS=3.
set -eu
cd "$(dirname "$0")"
replicas=${REPLICAS:-1}
nats() { command nats %[1]s "$@"; }
# The alerts. --max-age and --max-bytes say how long an outage of TheHive may last.
nats stream add %[2]s --subjects '%[3]s' --storage file --retention limits --replicas "$replicas" --max-age="${MAX_AGE:--1}" --max-bytes="${MAX_BYTES:--1}" --defaults
# What reads them: all replicas of Forager share it.
nats consumer add %[2]s %[4]s --pull --deliver all --ack explicit --wait %[5]s --max-deliver=-1 --max-pending %[6]d --filter '%[3]s' --replay instant --defaults
# Alerts that were given up, with their reason. It refuses when it is full, so that none is lost.
nats stream add %[7]s --subjects '%[8]s' --storage file --retention limits --discard new --allow-direct --replicas "$replicas" --defaults
# What was done in TheHive, and who works on what.
nats kv add %[9]s --history 1 --storage file --replicas "$replicas"
# It is new, and so is the consumer: workers need not wait until they may trust it.
nats kv create %[9]s %[10]s '{"v":1}'
`, login, usual.Stream, usual.Subjects[0], usual.Consumer, stream.Duration(t.AckWait), t.MaxAckPending, t.DeadLetters, stream.DeadLetterPrefix+">", t.Bucket, stream.InitialisedKey)
}

// shellQuoted is a text that a shell takes as one word.
func shellQuoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// forwarderNames are the folders of deploy/forwarders, in the order of their names.
func forwarderNames() []string {
	entries, err := fs.ReadDir(forwarders.Files, ".")
	if err != nil { // it is in the binary
		return nil
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// forwarderFiles are those of a forwarder, with the address and the secret filled in.
func (a *answers) forwarderFiles(token string) (all []file, err error) {
	host, port, err := net.SplitHostPort(a.intake)
	if err != nil {
		return nil, fmt.Errorf("intake: %w", err)
	}
	fill := strings.NewReplacer("https://forager.example/", "http://"+a.intake+"/", "forager-intake:8082", a.intake, "forager-intake", host,
		"Port   8082", "Port   "+port, "THE TOKEN OF THE SOURCE", token, "${FORAGER_TOKEN}", token, "$FORAGER_TOKEN", token)
	entries, err := fs.ReadDir(forwarders.Files, a.forwarder)
	if err != nil {
		return nil, fmt.Errorf("forwarder: %w", err)
	}
	for _, e := range entries {
		name := path.Join(a.forwarder, e.Name())
		raw, err := fs.ReadFile(forwarders.Files, name)
		if err != nil {
			return nil, fmt.Errorf("forwarder: %w", err)
		}
		f := file{name: path.Join("forwarders", name), is: "for " + a.forwarder, content: []byte(fill.Replace(string(raw))), runs: strings.HasPrefix(string(raw), "#!")}
		if strings.HasPrefix(e.Name(), "sample.") {
			f.content, f.is, a.sample = raw, "an alert as it sends it", f.name
		}
		f.secret = strings.Contains(string(f.content), token)
		all = append(all, f)
	}
	return all, nil
}
