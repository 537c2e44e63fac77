// Package detection turns a vendor's alert into detections, by format files that are data.
//
// # Promise
//
// Decode is pure: no I/O, no clock, no state; the same message gives the same result, from any number
// of goroutines. Every text that leaves it is valid UTF-8 without control characters and bounded; every
// observable is valid for its type and in its one canonical spelling; every detection has an id that a
// re-send has again. Nothing that an event says is executed, fetched or interpreted. What is no
// detection is a Drop with a reason; what cannot be read is a *[malformed.Error] with a reason.
// References to techniques stay as sent: package mitre says what they mean.
//
//	d, err := detection.New(detection.Options{Formats: []fs.FS{os.DirFS("formats")}})
//	…
//	r, err := d.Decode(detection.Message{Subject: subject, Header: header, Body: body, Time: stored})
//
// # Limits
//
// Limits bounds nesting, members, values, numbers, texts and counts; what a detection loses by one is
// counted in LeftOut. A body that is neither JSON nor text as below is malformed as a whole; a byte that is not
// UTF-8 becomes U+FFFD, and marks the detection. Half a surrogate
// pair in an escape becomes U+FFFD. Of members of one name, the last counts, in the first's place, as
// with encoding/json. Numbers are kept as written. Several JSON values in a row (NDJSON), and arrays,
// are batches: one message, many detections. Parts of a batch that nobody knows are in Unreadable.
//
// # The way of a message
//
// Envelopes are taken off (CloudEvents in both modes and in batches, Elasticsearch hits, EventBridge, SNS,
// then, around what no format knows, those of the table in wrappers.go, and records, value, data,
// result, message and their like, JSON, text, base64 and gzip in strings included), six in one another at
// most; Detection.Why names each. A scalar beside an object in an array is no event. An event's top-level names select the few formats worth asking, so that the
// number of formats costs nothing. The format's conditions decide, in its order. All paths of a format are
// one trie, walked once beside the event. Observables are made canonical, sifted (addresses of nobody
// and of the reporting agent, lists) and merged. Detections of one id in one message are one detection.
//
// The files in this order: decode.go takes a message; package tree reads JSON; lines.go puts text beside it, which package lines
// reads; envelope.go takes envelopes off (wrappers.go is their table, otlp.go and packed.go what some of them need); package
// formats finds the format; hosts.go splits an event; package formats walks it; event.go, fields.go, happened.go, observe.go,
// attach.go and id.go make the detection, with values from package canon; policy.go and lists.go sift observables; merge.go joins
// mentions of one detection. Why something cannot be read, package malformed says.
//
// # Errors
//
// New: [formats.Error], [PinError], each with its place, joined. Decode: [malformed.Error], for a message as a whole; for a part
// of one in [Result].Unreadable.
//
// # Text
//
// Lines, with Unix or Windows ends, become trees like any other, so that a format file reads them like JSON:
//
//	CEF:…       cef.version, deviceVendor, deviceProduct, deviceVersion, signature, name, severity; cef.ext.src, …
//	            by the sender's keys; cef.label.<text of cs1Label> is what cs1 says, and so for cn1, flexString1, …
//	LEEF:…      leef.version, vendor, product, productVersion, eventId; leef.ext.src, …
//	key=value   a member each at the top: type, subtype, srcip; quoted by " or ', backslashes before both
//	%ASA-4-1: … cisco.product, level, id, message; cisco.ext.SrcIP of "Name: value", else cisco.end.from, src, to, dst
//	[a:"b"; …]  checkpoint.a, as Check Point's log exporter writes it
//	1,2026/…,   pan.type, subtype, src, … by the order of PAN-OS' fields
//	Name: value a member each at the top, in lines or between commas; text, what stands before the first
//	<?xml …?>   the root with its elements and attributes; elements of one name are a list
//	{…}         the object, after whatever stands before it in the line
//	<13>…       RFC 5424 or 3164 around any of them, or around other text: syslog.time, host, app, process, id,
//	            facility, severity, structured.<id>.<name>; message, where it is none of the above
//
// Values are texts. A line that is none of these is no JSON either.
//
// The JSON reader is an own scanner onto a tree in one slice. Measured against encoding/json into any on
// real Wazuh and ECS events it takes two fifths of the time with a twentieth of the
// allocations. Other fast readers were set aside for what they leave open, not for their speed: none
// bounds members and values, and those that build maps lose the order and the exact numbers. Reading
// and normalising together cost less than encoding/json
// alone for events above 2 KB, and up to 1.7 times as much for those below 800 bytes (BenchmarkDecode).
//
// # Format files
//
// A format is one YAML file, its name that of the format; a directory of an operator adds or replaces.
// Unknown keys are refused. Names in paths match whatever the case and whether written with "_", "-" or
// neither (incidentNumber, incident_number); `a.b` matches nested, flat ("a.b") and mixed names; arrays
// fan out; `labels[key=severity].value` takes only objects whose member key says severity; "*" is every member
// (`*.hashes.sha256`); `""` is the event. A text that is a list ("a, b") is its members wherever a
// path names it, of addresses, hosts, accounts, mail, hashes, URLs and the like.
//
//	format: acme                 # name of the file
//	order: 300                   # recognition: lower first
//	recognise:                   # any of these lists of conditions, all of each; the first condition is
//	  - [{path: acme_version, type: number}, {path: what}]   # the index: choose the rarest name
//	drop:                        # parts that are no detections
//	  - {reason: heartbeat, when: [{path: what, is: [ping, pong]}]}
//	roots: [result, _raw]        # all paths hold below these as well, and below one another; strings are JSON or k="v" pairs
//	parse: {json: [entities], pairs: [fields]}   # strings that hold JSON, or k="v" pairs
//	inside: [backlog]            # members that may hold events of other formats; where they do, those are read
//	id: [[ref, tenant], uuid]    # alternatives; of each, all that are there, the first must be
//	hash: [rule, host, at]       # else the id is a hash of these, else of the whole event
//	time: [at, received]         # fields: the first that says something plausible
//	severity: [{path: level, bands: {0: low, 7: medium, 12: high, 15: critical}}, {path: how, words: {bad: high}}]
//	defaultSeverity: medium
//	# a field is a path, or has any of: path, join with sep, each, text, prefix, suffix, after (the text begins after it), until (it ends before it), when
//	title: [what, {join: [a, b], sep: ": "}, {path: c, prefix: "Alert "}, {text: constant}]
//	description, source, host, user, ip, direction: fields as well; rule: {id: fields, name: fields}
//	happened: {process: [exe], commandLine: [cmd], parent: [pexe], file: [path], from: [src], to: [dst], action: [what]}
//	link: [url, {path: id, prefix: "https://console.example/", suffix: /show}]   # http and https alone
//	key: [group]                 # the sender's own correlation key; it and lastKey get the format's name before them
//	lastKey: [{join: [rule, tenant], sep: /}]            # where no host, user or ip is, or none that others could be
//	                             # told from (localhost, SYSTEM): rule and resource, account, tenant; else the rule
//	split: {each: rows, by: [box]}                       # rows of several hosts are a detection each; of: [boxes]
//	                             # does so for a list of names
//	ownKey: true                 # of the native form alone: the key is as sent, and there is no last one
//	tags: [labels, {path: csv, reader: list, prefix: "x:"}]
//	own: [agent.ip]              # addresses of the reporter, no observables
//	observables:
//	  - {type: ip, path: [from, src.ip], tags: [src]}      # first: true stops at the first path that gives one
//	  - {type: filename, each: files, join: [dir, name], sep: \}
//	  - {reader: typed, each: iocs, kind: type, value: data, types: {ipv4: ip, domain: host}, ioc: true}
//	  - {reader: hashes, path: [sums]}                     # SHA1=…,MD5=…; also: tuple (a:1->b:2), list
//	techniques:
//	  - {path: ttp, else: [ttp_name], tactic: [tactic]}    # each: objects that pair a technique with a tactic
//	  - {path: labels, reader: tags}                       # free tags: only those that are attack's
//	files: [{each: files, name: name, base64: content, object: object, sha256: sha256}]
//	with: [{format: ecs, under: data, take: [observables, user]}]   # rules of another file, below a path or not; besides:
//	                             # techniques, happened, time, severity, title, description, host, ip, direction, link
//
// `mark` on a severity says what was assumed (Detection.Marks). A format's conditions are to hold for its
// product alone: an everyday word takes foreign alerts, and reads them wrongly in silence. The host is
// where it happened: relays (managers, sensors, shippers, pods) are to be left to `source`.
//
// A condition tests presence, or type (object array string number bool), is, prefix, suffix, contains
// (texts, case folded), matches (RE2), each over any value at any of its paths; `not: true` denies. Fields,
// observables and techniques take conditions as `when`. Types of observables are TheHive's, host (a name or
// address of whatever kind), auto (by shape), and kinds that become "other" with a tag. A file of
// `fragment: true` is for `with` alone. generic.yaml recognises nothing: it reads, by well-known names, what no other format does,
// where Options.Generic says so.
//
// To add a format: the file, and events with their golden detections in testdata (go test -update).
package detection
