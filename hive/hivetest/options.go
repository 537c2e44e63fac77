package hivetest

import "time"

// What a server made with zero Options knows.
const (
	DefaultUser         = "admin@thehive.local" // login, org-admin of DefaultOrganisation and admin of "admin"
	DefaultPassword     = "secret"              // password of DefaultUser
	DefaultAPIKey       = "simulated"           // Bearer key of DefaultUser
	DefaultOrganisation = "main-org"            // where a call without X-Organisation lands
	adminOrganisation   = "admin"
	systemUser          = "system@thehive.local"
)

// Options say what kind of TheHive this is. The zero value is a fresh 5.5.13 with one user and one organisation.
type Options struct {
	// Patterns are the ATT&CK patterns that this server holds; anything else is "not found". nil: a small built-in set.
	Patterns []Pattern
	// Organisations exist beside "admin". nil: DefaultOrganisation alone. The first is the default user's own.
	Organisations []string
	// Users exist beside DefaultUser.
	Users []User
	// APIKey is DefaultUser's key. Empty: DefaultAPIKey.
	APIKey string
	// Clock gives the time that the server writes into its entities and resolves relative dates by. nil: time.Now.
	Clock func() time.Time
	// Seed makes the dice of Misbehaviour repeatable.
	Seed uint64
	// MaxBody is the largest request in bytes that carries no file; larger is 413. 0: 10 MB, TheHive's default.
	MaxBody int64
	// MaxUpload is the largest request in bytes that carries files. 0: 256 MiB (TheHive's own default is 1 GB).
	MaxUpload int64
	// Lenient accepts properties that TheHive's API description does not know, as TheHive itself may; they are ignored.
	Lenient bool
	// RefuseUnknownFields answers 404 to a custom field that nobody defined. By default it is left out without a word, as
	// clients that write such fields have seen.
	RefuseUnknownFields bool
	// Version is what the status says. Empty: "5.5.13-1".
	Version string
	// Journal is how many calls are remembered. 0: 4096. Their bodies together take at most 32 MiB.
	Journal int
	// Webhooks are told of every change, as the endpoints of an organisation are. Changes are recorded whether there are
	// any or not: see [Hive.Documents].
	Webhooks []Webhook
}

// Pattern is one ATT&CK technique that the server holds.
type Pattern struct {
	ID      string   // "T1059.001"
	Name    string   // "PowerShell"
	Tactics []string // short names, "execution"
	Revoked bool
}

// User is an account of the server.
type User struct {
	Login, Name      string
	Password, APIKey string       // empty: no such way in
	Memberships      []Membership // the first is where calls without X-Organisation land
}

// Membership is a user's place in an organisation.
type Membership struct {
	Organisation string // name
	Profile      string // "admin", "org-admin", "analyst", "read-only" or one made through the API
}

func (o Options) withDefaults() Options {
	if o.Patterns == nil {
		o.Patterns = builtIn
	}
	if o.Organisations == nil {
		o.Organisations = []string{DefaultOrganisation}
	}
	o.APIKey = or(o.APIKey, DefaultAPIKey)
	o.Version = or(o.Version, "5.5.13-1")
	o.MaxBody = or(o.MaxBody, 10<<20)
	o.MaxUpload = or(o.MaxUpload, 256<<20)
	o.Journal = or(o.Journal, 4096)
	if o.Clock == nil {
		o.Clock = time.Now
	}
	return o
}

func or[T comparable](v, preset T) T {
	var zero T
	if v == zero {
		return preset
	}
	return v
}

// builtIn are a few patterns of Enterprise ATT&CK 18, enough for the examples of TheHive's guides.
var builtIn = []Pattern{
	{ID: "T1003", Name: "OS Credential Dumping", Tactics: []string{"credential-access"}},
	{ID: "T1003.001", Name: "LSASS Memory", Tactics: []string{"credential-access"}},
	{ID: "T1027", Name: "Obfuscated Files or Information", Tactics: []string{"defense-evasion"}},
	{ID: "T1053.005", Name: "Scheduled Task", Tactics: []string{"execution", "persistence", "privilege-escalation"}},
	{ID: "T1055", Name: "Process Injection", Tactics: []string{"defense-evasion", "privilege-escalation"}},
	{ID: "T1059", Name: "Command and Scripting Interpreter", Tactics: []string{"execution"}},
	{ID: "T1059.001", Name: "PowerShell", Tactics: []string{"execution"}},
	{ID: "T1059.003", Name: "Windows Command Shell", Tactics: []string{"execution"}},
	{ID: "T1059.006", Name: "Python", Tactics: []string{"execution"}},
	{ID: "T1059.007", Name: "JavaScript", Tactics: []string{"execution"}},
	{ID: "T1071", Name: "Application Layer Protocol", Tactics: []string{"command-and-control"}},
	{ID: "T1071.001", Name: "Web Protocols", Tactics: []string{"command-and-control"}},
	{ID: "T1078", Name: "Valid Accounts", Tactics: []string{"defense-evasion", "persistence", "privilege-escalation", "initial-access"}},
	{ID: "T1105", Name: "Ingress Tool Transfer", Tactics: []string{"command-and-control"}},
	{ID: "T1110", Name: "Brute Force", Tactics: []string{"credential-access"}},
	{ID: "T1190", Name: "Exploit Public-Facing Application", Tactics: []string{"initial-access"}},
	{ID: "T1486", Name: "Data Encrypted for Impact", Tactics: []string{"impact"}},
	{ID: "T1547.001", Name: "Registry Run Keys / Startup Folder", Tactics: []string{"persistence", "privilege-escalation"}},
	{ID: "T1562.001", Name: "Disable or Modify Tools", Tactics: []string{"defense-evasion"}},
	{ID: "T1566", Name: "Phishing", Tactics: []string{"initial-access"}},
	{ID: "T1566.001", Name: "Spearphishing Attachment", Tactics: []string{"initial-access"}},
	{ID: "T1566.002", Name: "Spearphishing Link", Tactics: []string{"initial-access"}},
	{ID: "T1589.003", Name: "Employee Names", Tactics: []string{"reconnaissance"}},
}
