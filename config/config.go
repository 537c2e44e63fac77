// Package config reads what an operator wrote and refuses what cannot work.
//
// It promises that [Load] either gives a [Config] in which every value is usable on its own and
// together with the others, or an [*Error] that lists every problem at once: the key, the value,
// and the line where the text of the file itself is wrong. Nothing is guessed: an unknown key,
// an unknown FORAGER_ variable and a number out of range are errors, not warnings.
//
// A key is written in one YAML file or in the environment, which wins. The variable of a key is
// its path in upper case behind FORAGER_, words parted by underscores: hive.apiKeyFile is
// FORAGER_HIVE_API_KEY_FILE. Lists are written with commas there, lists of mappings as YAML.
// Secrets come from a file that their …File key names, or from the environment; a [Secret] shows
// itself to nobody who does not call Reveal.
//
// Routes and silences may stand in the configuration file, in files beside it that rules.files
// names, or in both. What is wrong in a condition or a template is known only to who compiles it:
// [Config.Wrong] turns such a finding into the same error, with file, line and column.
//
// Limits: one document of at most 1 MiB; no aliases, no merge keys. Files named by a configuration
// are read once, when it is loaded; allow-lists and formats are read by others, and so are the files
// of those secrets that may be exchanged while a worker runs.
//
//	c, err := config.Load(config.Source{Name: "forager.yaml", Text: text, Env: os.Environ(), ReadFile: os.ReadFile, Connects: []string{config.ToNATS, config.ToHive}})
//	if err != nil {
//		return err // every problem, one a line
//	}
//	fmt.Println(c.Hive.URL)
package config

import "time"

// Config is everything that an operator decides. The zero value is of no use: take [Default]
// or [Load]. Durations and sizes are ready values; the reference (see [Reference]) says what
// each key means.
type Config struct {
	NATS        NATS        `key:"nats"`
	Hive        Hive        `key:"hive"`
	Pipeline    Pipeline    `key:"pipeline"`
	Case        Case        `key:"case"`
	Limits      Limits      `key:"limits"`
	Ledger      Ledger      `key:"ledger"`
	DeadLetters DeadLetters `key:"deadLetters"`
	Journal     Journal     `key:"journal"`
	Hold        Hold        `key:"hold"`
	Formats     Formats     `key:"formats"`
	AllowLists  []AllowList `key:"allowLists" doc:"list of {name, file or kind and values, action, types}: values too common to be observables, or to correlate on"`
	Lookups     []Lookup    `key:"lookups" doc:"list of {name, file, key, match}: tables that conditions and templates ask, as lookup.NAME[detection.host].COLUMN"`
	Attack      Attack      `key:"attack"`
	Files       Files       `key:"files"`
	Rules       Rules       `key:"rules"`
	Routes      []Route     `key:"routes" doc:"list of routes, tried in order: what becomes of which detections; none is needed"`
	Silences    []Silence   `key:"silences" doc:"list of silences: what does nothing for a while"`
	Webhook     Webhook     `key:"webhook"`
	Feedback    Feedback    `key:"feedback"`
	Intake      Intake      `key:"intake"`
	Ops         Ops         `key:"ops"`
	Log         Log         `key:"log"`

	name   string           // of the file
	places map[string]place // where values came from
}

// NATS says where detections come from.
type NATS struct {
	URL          string        `key:"url" need:"nats" doc:"address of the NATS server; several, parted by commas, are the servers of one cluster"`
	Context      string        `key:"context" doc:"context of the nats command, by its name: address and credentials are those of its file in $XDG_CONFIG_HOME/nats/context (~/.config/nats/context) where the other keys of nats do not say otherwise; read at the start"`
	Stream       string        `key:"stream" need:"nats" doc:"JetStream stream that holds the detections"`
	Consumer     string        `key:"consumer" need:"nats" doc:"durable pull consumer that all replicas share"`
	Subjects     []string      `key:"subjects" doc:"subjects of the stream that are consumed; with nats.manage also what a new stream listens to"`
	Manage       bool          `key:"manage" doc:"create stream, consumer, dead-letter stream and ledger bucket when they are missing"`
	Replicas     int           `key:"replicas" min:"1" max:"5" doc:"copies of each stream and of the ledger that nats.manage makes; what is there keeps its own"`
	MaxAge       time.Duration `key:"maxAge" max:"87600h" doc:"how long the stream that nats.manage makes keeps messages: longer than the longest outage; 0 is no limit"`
	MaxBytes     Size          `key:"maxBytes" doc:"bytes that the stream that nats.manage makes keeps, then the oldest go; 0 is no limit"`
	AckWait      time.Duration `key:"ackWait" min:"3s" max:"1h" doc:"how long the server waits for a sign of life before it delivers a message again"`
	User         string        `key:"user" doc:"user name, with nats.password"`
	Password     Secret        `key:"password" doc:"password of nats.user"`
	PasswordFile string        `key:"passwordFile" doc:"file that holds nats.password; read again at each connect"`
	Token        Secret        `key:"token" doc:"token, instead of a user"`
	TokenFile    string        `key:"tokenFile" doc:"file that holds nats.token; read again at each connect"`
	CredsFile    string        `key:"credsFile" doc:"credentials file (JWT and key), instead of a user; read again at each connect"`
	NKeyFile     string        `key:"nkeyFile" doc:"file with an NKey seed, instead of a user; read again at each connect"`
	CAFile       string        `key:"caFile" doc:"certificates (PEM) that sign the server's, instead of the system's; read again at each connect"`
	CertFile     string        `key:"certFile" doc:"client certificate (PEM), with nats.keyFile; read again at each connect"`
	KeyFile      string        `key:"keyFile" doc:"key (PEM) of nats.certFile"`
	TLSFirst     bool          `key:"tlsFirst" doc:"begin with the TLS handshake, for servers with handshake_first"`
	InboxPrefix  string        `key:"inboxPrefix" doc:"prefix of reply subjects, where permissions ask for one"`
	Domain       string        `key:"domain" doc:"JetStream domain that holds the streams, where the server is a leaf node with another or none; empty is the server's own"`
	EndsFile     string        `key:"endsFile" path:"yes" doc:"file that the worker keeps beside itself, which says how far stream and ledger had reached: by it a worker that starts after both went back notices that; it should outlive a restart"`
	APIPrefix    string        `key:"apiPrefix" doc:"prefix of JetStream's API, instead of nats.domain, where it is imported from another account under a name of its own"`
}

// Hive says where cases are kept, and how hard TheHive may be worked.
type Hive struct {
	URL          string        `key:"url" need:"hive" doc:"address of TheHive 5, with its path when it has one"`
	APIKey       Secret        `key:"apiKey" doc:"API key of the account that Forager acts as"`
	APIKeyFile   string        `key:"apiKeyFile" doc:"file that holds hive.apiKey; read again when it changes"`
	User         string        `key:"user" doc:"login, with hive.password, where there is no API key"`
	Password     Secret        `key:"password" doc:"password of hive.user"`
	PasswordFile string        `key:"passwordFile" doc:"file that holds hive.password; read again when it changes"`
	Organisation string        `key:"organisation" doc:"organisation that the cases belong to; empty is the account's own"`
	Concurrency  int           `key:"concurrency" min:"1" max:"1024" doc:"calls in flight at TheHive, at most, per replica"`
	Timeout      time.Duration `key:"timeout" min:"100ms" max:"10m" doc:"time that one call may take"`
	Settle       time.Duration `key:"settle" max:"1h" show:"2 × hive.timeout + 5s" doc:"how long an answer that was lost may still take effect in TheHive and show in its search"`
	Batch        int           `key:"batch" min:"1" max:"1000" doc:"values that are sent in one call, at most"`
	PerCase      int           `key:"perCase" min:"1" max:"16" doc:"calls for one case at a time, at most, where they do not depend on each other; 1 is one after the other"`
	CAFile       string        `key:"caFile" doc:"certificates (PEM) that sign TheHive's, instead of the system's"`
	CertFile     string        `key:"certFile" doc:"client certificate (PEM), with hive.keyFile"`
	KeyFile      string        `key:"keyFile" doc:"key (PEM) of hive.certFile"`
	Proxy        string        `key:"proxy" doc:"HTTP proxy to TheHive; empty is what HTTPS_PROXY and NO_PROXY say"`
}

// Pipeline bounds what a replica holds at a time.
type Pipeline struct {
	MaxMessageBytes Size `key:"maxMessageBytes" min:"1KiB" max:"64MiB" doc:"size of a message; larger ones become dead letters"`
	MaxInFlight     int  `key:"maxInFlight" max:"1000000" show:"64 × hive.concurrency" doc:"messages that a replica holds, at most; up to four times as many where they are of many keys"`
	MaxBytesHeld    Size `key:"maxBytesHeld" min:"1MiB" max:"16GiB" doc:"bytes of messages that a replica holds, at most"`
}

// Case says when detections meet in one case.
type Case struct {
	Window  time.Duration `key:"window" max:"8760h" doc:"how long after its newest event a case takes more; 0 is no limit"`
	Closed  string        `key:"closed" oneof:"new reopen comment" doc:"what a detection does after the end of its case, within the window: open a new one, reopen it, or comment on it"`
	Host    string        `key:"host" oneof:"short full" doc:"what makes two names one host: the first label (ws-7.acme.example is ws-7), or the full name"`
	Digest  string        `key:"digest" oneof:"page comment none" doc:"where a case says how many detections of which rules it has: on a page of its own, for which the account needs the right managePage, else in one comment that takes its place; in one comment; or nowhere: then there is a comment for each rule and day, not only for the first detection of each rule"`
	Related bool          `key:"related" doc:"a new case is linked with the open cases of the organisation that have one of its indicators (what the event calls an indicator, hashes, external addresses on no allow-list; at most five), with ten at most, about a minute after it was opened; before TheHive 5.5, which has no links, the page of detections names them"`
	Raw     string        `key:"raw" oneof:"first all none" doc:"which detections stand in the case as the event that was sent, up to 16 KiB each: the first of the case and of each rule, all that the description tells of, or none"`
	Redact  []string      `key:"redact" doc:"what is left out of such events, of detection.raw and detection.fields, and of all that formats read (titles, observables, command lines …): a name is every member that ends with it (token, access_token), a path with dots is what lies there; ids and keys made of such a path are digests"`
}

// Limits bound what detections can bring about.
type Limits struct {
	NewCasesPerKey int `key:"newCasesPerKey" max:"1000000" doc:"cases that one key (host, user …) may open in an hour of event time, over all replicas; what is above goes into one overflow case of the key; 0 is no limit"`

	ObservablesPerCase  int `key:"observablesPerCase" min:"1" max:"20000" doc:"observables that are added to one case; a quarter of the room is kept for indicators, and the case says what was left out, as it does for the other limits"`
	AnalysesPerCase     int `key:"analysesPerCase" min:"1" max:"2000" doc:"jobs of Cortex that are asked for in one case"`
	AnalysesOutstanding int `key:"analysesOutstanding" min:"1" max:"10000" doc:"jobs of Cortex, of anybody, that may wait or run in one organisation before no more are asked for; what is above is asked for later"`
	ProceduresPerCase   int `key:"proceduresPerCase" min:"1" max:"5000" doc:"techniques that are recorded in one case"`
	CommentsPerCase     int `key:"commentsPerCase" min:"1" max:"5000" doc:"comments that are written to one case"`
	TagsPerCase         int `key:"tagsPerCase" min:"25" max:"1000" doc:"tags of one case, twenty of them for Forager's own"`

	ObservablesPerDetection int `key:"observablesPerDetection" min:"1" max:"2000" doc:"observables that are taken from one detection"`
	TechniquesPerDetection  int `key:"techniquesPerDetection" min:"1" max:"500" doc:"techniques that are taken from one detection"`
	TagsPerDetection        int `key:"tagsPerDetection" min:"1" max:"500" doc:"tags that are taken from one detection"`
	FilesPerDetection       int `key:"filesPerDetection" min:"1" max:"200" doc:"files that are taken from one detection"`
	DetectionsPerMessage    int `key:"detectionsPerMessage" min:"1" max:"10000" doc:"detections that one message may hold; one with more is a dead letter"`
}

// Ledger is the memory that replicas share.
type Ledger struct {
	Bucket string        `key:"bucket" need:"nats" doc:"JetStream key-value bucket; one for each TheHive"`
	Lease  time.Duration `key:"lease" min:"1s" max:"1h" doc:"how long a claim outlives its last renewal"`
	Keep   time.Duration `key:"keep" min:"1h" max:"87600h" doc:"how long entries of closed cases are kept"`
}

// DeadLetters is where messages go that can never become part of a case.
type DeadLetters struct {
	Stream   string `key:"stream" need:"nats" doc:"JetStream stream that takes dead letters"`
	MaxBytes Size   `key:"maxBytes" doc:"bytes that the stream that nats.manage makes takes; when it is full their messages stay where they are; 0 is no limit"`
}

// Journal is where a line is kept for every settlement.
type Journal struct {
	Stream string        `key:"stream" doc:"JetStream stream that takes a line for every message that was settled: what became of it, why, and in which cases; empty is off"`
	Keep   time.Duration `key:"keep" min:"1h" max:"87600h" doc:"how long lines are kept, in a stream that nats.manage creates"`
}

// Hold is where detections wait below a threshold of their route.
type Hold struct {
	Stream string `key:"stream" need:"nats" doc:"JetStream stream that takes copies of messages that wait below a threshold (routes[].threshold); with nats.manage it is made when one first does, for a million messages"`
}

// Formats says how alerts are read.
type Formats struct {
	Directories []string `key:"directories" path:"yes" doc:"directories of format files (*.yaml) that add to the built-in formats or replace them; later ones win"`
	Unknown     string   `key:"unknown" oneof:"deadLetter generic" doc:"what becomes of an alert that no format knows: a dead letter, or a detection read by well-known names, tagged forager:generic"`
	Pins        []Pin    `key:"pins" doc:"list of {subject, format}: messages of a subject (NATS wildcards) are read as this format; the first match wins"`
}

// Pin says that messages of a subject are of one format.
type Pin struct {
	Subject string `key:"subject" need:"always" doc:"subject, with NATS wildcards"`
	Format  string `key:"format" need:"always" doc:"name of a format"`
}

// Attack adds to the built-in ATT&CK catalogue.
type Attack struct {
	Bundles []string `key:"bundles" path:"yes" doc:"STIX bundles of ATT&CK releases that add to the built-in ones or replace them"`
}

// Webhook is where TheHive tells what analysts did. It is off without a token or a user.
type Webhook struct {
	Addr         string `key:"addr" doc:"address where TheHive's webhook is taken in (POST /hooks/thehive); off when empty, or without a token or a user"`
	Token        Secret `key:"token" doc:"bearer token that TheHive's endpoint sends"`
	TokenFile    string `key:"tokenFile" doc:"file that holds webhook.token; read again when it changes"`
	User         string `key:"user" doc:"user that TheHive's endpoint sends, with webhook.password"`
	Password     Secret `key:"password" doc:"password of webhook.user"`
	PasswordFile string `key:"passwordFile" doc:"file that holds webhook.password; read again when it changes"`
	Stream       string `key:"stream" need:"webhook" doc:"JetStream stream that keeps audit documents until the ledger has learnt them"`
}

// Feedback is how sources are told what became of their alerts. It is off without a subject.
type Feedback struct {
	Subject  string        `key:"subject" doc:"what the subjects begin with on which sources are told what became of their alerts, such as forager.feedback: one message for each alert on <subject>.<source>.<case number>.<id>; empty turns it off"`
	Stream   string        `key:"stream" doc:"JetStream stream that keeps these messages"`
	Statuses string        `key:"statuses" oneof:"closed all" doc:"what is told: that a case is closed, with its status, and that it is open again; or each status of an open case as well"`
	Look     time.Duration `key:"look" min:"10s" max:"24h" doc:"how often TheHive is asked for cases that changed, by one replica; what the webhook tells is told at once"`
	PerCase  int           `key:"perCase" min:"1" max:"5000" doc:"source alerts that a case remembers, from the first on; each message says how many more there were"`
}

// Ops is the operations server.
type Ops struct {
	Addr         string   `key:"addr" doc:"address of the operations server (the page at /, /healthz, /readyz, /version, /metrics); empty turns it off"`
	Page         bool     `key:"page" doc:"show the page at /: what flows, the last messages with titles and hosts, dead letters, ATT&CK; without ops.user or ops.token to this host alone, such as a port-forward; false turns it off"`
	Hosts        []string `key:"hosts" doc:"names by which the page is asked for, where these are public names; addresses, names without a dot and those of a cluster need not be listed"`
	User         string   `key:"user" doc:"user of the page (Basic), with ops.password; without a user and a token everybody who reaches ops.addr may look"`
	Password     Secret   `key:"password" doc:"password of ops.user"`
	PasswordFile string   `key:"passwordFile" doc:"file that holds ops.password; read again when it changes"`
	Token        Secret   `key:"token" doc:"bearer token of the page; a browser takes it as the password of any user"`
	TokenFile    string   `key:"tokenFile" doc:"file that holds ops.token; read again when it changes"`
	Pprof        bool     `key:"pprof" doc:"serve Go's profiles on the operations server (/debug/pprof/); they slow the worker and show its memory"`
}

// Log says what is written to standard error.
type Log struct {
	Level  string `key:"level" oneof:"debug info warn error" doc:"least important level that is logged; a reload puts another in force"`
	Format string `key:"format" oneof:"json text" doc:"json for machines, text for people"`
}

// Default gives the configuration of a worker whose operator decided nothing. Load fills in what
// depends on other keys (hive.settle, pipeline.maxInFlight).
func Default() Config {
	return Config{
		NATS: NATS{
			Stream: "DETECTIONS", Consumer: "forager", Subjects: []string{"detections.>"},
			AckWait: 15 * time.Second, Replicas: 1,
		},
		Hive:     Hive{Concurrency: 32, Timeout: 10 * time.Second, Batch: 100, PerCase: 2},
		Pipeline: Pipeline{MaxMessageBytes: 1 << 20, MaxBytesHeld: 32 << 20},
		Case:     Case{Window: 24 * time.Hour, Closed: "new", Host: "short", Digest: "page", Related: true, Raw: "first", Redact: []string{"password", "token", "secret", "authorization"}},
		Limits: Limits{
			NewCasesPerKey:     20,
			ObservablesPerCase: 2000, AnalysesPerCase: 100, AnalysesOutstanding: 100, ProceduresPerCase: 500, CommentsPerCase: 500, TagsPerCase: 100,
			ObservablesPerDetection: 200, TechniquesPerDetection: 50, TagsPerDetection: 50, FilesPerDetection: 20, DetectionsPerMessage: 500,
		},
		Ledger:      Ledger{Bucket: "FORAGER_LEDGER", Lease: 15 * time.Second, Keep: 90 * 24 * time.Hour},
		DeadLetters: DeadLetters{Stream: "FORAGER_DLQ"},
		Journal:     Journal{Keep: 30 * 24 * time.Hour},
		Hold:        Hold{Stream: "FORAGER_HOLD"},
		Formats:     Formats{Unknown: "deadLetter"},
		Files:       Files{MaxBytes: 100 << 20, SpoolBytes: 200 << 20, As: "observable", Zip: "never"},
		Rules:       Rules{Reload: 10 * time.Second},
		Webhook:     Webhook{Addr: ":8081", Stream: "FORAGER_AUDIT"},
		Feedback:    Feedback{Stream: "FORAGER_FEEDBACK", Statuses: "closed", Look: 5 * time.Minute, PerCase: 500},
		Intake:      Intake{Addr: ":8082", MaxInFlight: 256, MaxBytesHeld: 32 << 20},
		Ops:         Ops{Addr: ":8080", Page: true},
		Log:         Log{Level: "info", Format: "json"},
	}
}
