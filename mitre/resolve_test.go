package mitre

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestResolveReadsEverySpellingSeenInTheWild(t *testing.T) {
	tests := []struct {
		shape, ref string
		hint       Hint
		want       Resolution
	}{
		{"exact", "T1071", Hint{}, ids("T1071")},
		{"exact sub-technique", "T1218.005", Hint{}, ids("T1218.005")},
		{"lower case", "t1190", Hint{}, ids("T1190")},
		{"blanks around", "  T1059.001\n", Hint{}, ids("T1059.001")},
		{"slash", "T1059/001", Hint{}, ids("T1059.001")},
		{"underscore", "t1059_001", Hint{}, ids("T1059.001")},
		{"hyphen", "T1059-001", Hint{}, ids("T1059.001")},
		{"Sigma tag", "attack.t1059.001", Hint{}, ids("T1059.001")},
		{"Sigma tags in one string", "attack.credential_access, attack.t1558, attack.lateral_movement, attack.t1550", Hint{},
			Resolution{IDs: []string{"T1558", "T1550"}, Tactics: []string{"credential-access", "lateral-movement"}}},
		{"address", "https://attack.mitre.org/techniques/T1059/", Hint{}, ids("T1059")},
		{"address of a sub-technique", "https://attack.mitre.org/techniques/T1204/002", Hint{}, ids("T1204.002")},
		{"address of a sub-technique, slash", "https://attack.mitre.org/techniques/T1204/002/", Hint{}, ids("T1204.002")},
		{"address of an old version", "https://attack.mitre.org/versions/v15/techniques/T1059/001/", Hint{}, ids("T1059.001")},
		{"address of the wiki", "https://attack.mitre.org/wiki/Technique/T1086", Hint{}, ids("T1086")},
		{"Sysmon", "technique_id=T1055,technique_name=Process Injection", Hint{}, ids("T1055")},
		{"Sysmon, name doubled", "technique_id=T1158,technique_name=Hidden Files and DirectoriesHidden Files and Directories", Hint{}, ids("T1158")},
		{"Sysmon, id against name", "technique_id=T1047,technique_name=File System Permissions Weakness", Hint{},
			Resolution{IDs: []string{"T1047"}, Note: "T1047 taken, the name beside it is that of T1044"}},
		{"Sysmon, slip", "technique=T1105,technique_name=Ingress Tool Transfer", Hint{}, ids("T1105")},
		{"Sysmon, empty", "technique_id=T,technique_name=", Hint{}, none(ReasonNot)},
		{"Sysmon, name only", "technique_name=Process Injection", Hint{}, ids("T1055")},
		{"Sysmon, remark", "technique_id=T1055; Possible Cobalt Strike post-exploitation jobs", Hint{}, ids("T1055")},
		{"Sysmon, sub and word", "T1559.002,office", Hint{}, ids("T1559.002")},
		{"SwiftOnSecurity", "T1060,RunKey", Hint{}, ids("T1060")},
		{"SwiftOnSecurity, two", "T1037,T1484", Hint{}, ids("T1037", "T1484")},
		{"SwiftOnSecurity, word", "T1089,Tamper-Defender", Hint{}, ids("T1089")},
		{"SwiftOnSecurity, words", "Alert,Metasploit", Hint{}, none(ReasonNot)},
		{"HarfangLab cell", "persistence__t1547.001", Hint{}, Resolution{IDs: []string{"T1547.001"}, Tactics: []string{"persistence"}}},
		{"GCP rule tag", "T1562-impair-defenses", Hint{}, ids("T1562")},
		{"name and id", "Phishing (T1566)", Hint{}, ids("T1566")},
		{"name and id in JSON", `["Phishing (T1566)"]`, Hint{}, ids("T1566")},
		{"names and ids in JSON", `["Phishing (T1566)","PowerShell (T1059.001)","Process Hollowing"]`, Hint{}, ids("T1566", "T1059.001", "T1055.012")},
		{"JSON escaped again", `[\"Phishing (T1566)\"]`, Hint{}, ids("T1566")},
		{"MISP", "Malicious Link - T1204.001", Hint{}, ids("T1204.001")},
		{"MISP tag", `misp-galaxy:mitre-attack-pattern="Malicious Link - T1204.001"`, Hint{}, ids("T1204.001")},
		{"MISP tag, name only", `misp-galaxy:mitre-attack-pattern="Malicious Link"`, Hint{}, ids("T1204.001")},
		{"Zeek BZAR", "T1021.002 SMB/Windows Admin Shares", Hint{}, ids("T1021.002")},
		{"bar", "T1003|T1059", Hint{}, ids("T1003", "T1059")},
		{"broken bar", "T1003¦T1059.001", Hint{}, ids("T1003", "T1059.001")},
		{"lines", "T1003\nT1059", Hint{}, ids("T1003", "T1059")},
		{"slash list", "T1003/T1059", Hint{}, ids("T1003", "T1059")},
		{"repeated", "T1003, t1003, attack.t1003", Hint{}, ids("T1003")},
		{"software and group beside", "T1059.001¦S0039¦G0007", Hint{}, ids("T1059.001")},
		{"name", "User Execution", Hint{}, ids("T1204")},
		{"name folded", "user-execution", Hint{}, ids("T1204")},
		{"name without blanks", "UserExecution", Hint{}, ids("T1204")},
		{"name with underscores", "Command_And_Scripting_Interpreter", Hint{}, ids("T1059")},
		{"name with slash", "Scheduled Task/Job", Hint{}, ids("T1053")},
		{"name with accent", "Process Doppelgänging", Hint{}, ids("T1055.013")},
		{"name without its accent", "process doppelganging", Hint{}, ids("T1055.013")},
		{"name of an old release", "Indicator Removal from Tools", Hint{}, ids("T1027.005")},
		{"name moved between releases", "Disable or Modify Tools", Hint{}, ids("T1685")},
		{"name revoked in 19", "Impair Defenses", Hint{}, ids("T1562")},
		{"parent and name", "Command and Scripting Interpreter: PowerShell", Hint{}, ids("T1059.001")},
		{"parent decides", "Create Account: Local Account", Hint{}, ids("T1136.001")},
		{"names in a list", "PowerShell, Process Injection", Hint{}, ids("T1059.001", "T1055")},
		{"ambiguous", "Spearphishing Attachment", Hint{}, none(ReasonAmbiguous)},
		{"tactic decides", "Spearphishing Attachment", Hint{Tactic: "Initial Access"}, ids("T1566.001")},
		{"another tactic decides", "Spearphishing Attachment", Hint{Tactic: "TA0043"}, ids("T1598.002")},
		{"tactics decide", "DNS", Hint{Tactic: "Discovery, Command and Control"}, ids("T1071.004")},
		{"old tactic decides", "Steganography", Hint{Tactic: "DefenseEvasion"}, ids("T1027.003")},
		{"hinted parent decides", "Local Account", Hint{Parent: "T1087"}, ids("T1087.001")},
		{"hinted parent's name decides", "Local Account", Hint{Parent: "Create Account"}, ids("T1136.001")},
		{"wrong tactic decides nothing", "Spearphishing Attachment", Hint{Tactic: "impact"}, none(ReasonAmbiguous)},
		{"Enterprise preferred", "Screen Capture", Hint{}, ids("T1113")},
		{"domain of the tactic decides", "Screen Capture", Hint{Tactic: "TA0035"}, ids("T1513")},
		{"Mobile id", "T1577", Hint{}, ids("T1577")},
		{"ICS id", "T0803", Hint{}, ids("T0803")},
		{"sub-technique of a later release", "t1059.099", Hint{}, Resolution{IDs: []string{"T1059.099"}, Note: "T1059.099 is in no release known here"}},
		{"name beside an unknown id", "Phishing (T9999)", Hint{}, Resolution{IDs: []string{"T1566"}, Unknown: []string{"T9999"}}},

		{"tag that is a name by chance", "malware", Hint{Tags: true}, none(ReasonNot)},
		{"tag with a name", "attack.process_injection", Hint{Tags: true}, ids("T1055")},
		{"tag with a key", `misp-galaxy:mitre-attack-pattern="Malicious Link"`, Hint{Tags: true}, ids("T1204.001")},
		{"tag with an id", "T1555", Hint{Tags: true}, ids("T1555")},
		{"tag with a tactic", "mitre_execution", Hint{Tags: true}, tactics("execution")},
		{"vendor technique", "CST0023", Hint{}, none(ReasonVendor)},
		{"vendor tactic", "CSTA0008", Hint{}, none(ReasonVendor)},
		{"vendor name", "Adware/PUP", Hint{}, none(ReasonNot)},
		{"ATLAS", "AML.T0051", Hint{}, none(ReasonFramework)},
		{"ATLAS sub-technique", "aml.t0051.000", Hint{}, none(ReasonFramework)},
		{"placeholder", "T1234", Hint{}, Resolution{Reason: ReasonUnknown, Unknown: []string{"T1234"}}},
		{"junk", "mite", Hint{}, none(ReasonNot)},
		{"junk tactic", "abc", Hint{}, none(ReasonNot)},
		{"path", "/atomics/T1055.012/bin/x64/", Hint{}, none(ReasonPath)},
		{"Windows path", `C:\atomics\T1055\src\x.exe`, Hint{}, none(ReasonPath)},
		{"somebody's address", "https://example.org/atomics/T1055/T1055.md", Hint{}, none(ReasonPath)},
		{"tactic's name", "Command and Control", Hint{}, tactics("command-and-control")},
		{"tactic's id", "TA0028", Hint{}, tactics("persistence")},
		{"tactic's tag", "attack.initial_access", Hint{}, tactics("initial-access")},
		{"Falco's tactic", "mitre_credential_access", Hint{}, tactics("credential-access")},
		{"Microsoft's tactic", "DefenseEvasion", Hint{}, tactics("defense-evasion")},
		{"tactic's address", "https://attack.mitre.org/tactics/TA0002/", Hint{}, tactics("execution")},
		{"GCP's tactic tag", "TA0005-defense-evasion", Hint{}, tactics("stealth")},
		{"unknown tactic", "TA9999", Hint{}, none(ReasonUnknown)},
		{"software", "S0039", Hint{}, none(ReasonObject)},
		{"group tag", "attack.g0007", Hint{}, none(ReasonObject)},
		{"data source tag", "attack.ds0029", Hint{}, none(ReasonObject)},
		{"software's address", "https://attack.mitre.org/software/S0154", Hint{}, none(ReasonObject)},
		{"other tag", "cve.2021-44228", Hint{}, none(ReasonNot)},
		{"empty", "", Hint{}, none(ReasonEmpty)},
		{"blank", " \t", Hint{}, none(ReasonEmpty)},
		{"dash", "-", Hint{}, none(ReasonEmpty)},
		{"empty array", "[]", Hint{}, none(ReasonEmpty)},
		{"inside a word", "XT1059", Hint{}, none(ReasonVendor)},
		{"too many digits", "T10590", Hint{}, none(ReasonUnknown)},
		{"most telling part", "attack.execution, CST0023, T4321", Hint{}, Resolution{Reason: ReasonUnknown, Unknown: []string{"T4321"}, Tactics: []string{"execution"}}},
	}
	c := Embedded()
	for _, tt := range tests {
		t.Run(tt.shape, func(t *testing.T) {
			got := c.Resolve(tt.ref, tt.hint)
			if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("Resolve(%q, %+v) (-want +got):\n%s", tt.ref, tt.hint, diff)
			}
		})
	}
}

func ids(ids ...string) Resolution    { return Resolution{IDs: ids} }
func none(why Reason) Resolution      { return Resolution{Reason: why} }
func tactics(ts ...string) Resolution { return Resolution{Tactics: ts, Reason: ReasonTactic} }

func TestResolveTakesABoundedNumberOfTechniques(t *testing.T) {
	c := Embedded()
	var all strings.Builder
	for _, n := range c.nodes {
		all.WriteString(n.id + ",")
	}
	got := c.Resolve(all.String(), Hint{})
	if len(got.IDs) != MaxIDs || got.Note != "more than 100 techniques, the rest is left out" {
		t.Errorf("%d techniques, note %q; want %d and a note", len(got.IDs), got.Note, MaxIDs)
	}
}

func TestResolveReadsABoundedPartOfAText(t *testing.T) {
	got := Embedded().Resolve(strings.Repeat("word ", MaxText/5)+"T1059, T1003", Hint{})
	if diff := cmp.Diff(Resolution{Reason: ReasonNot, Note: "longer than 16 KiB, the rest is not read"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	got = Embedded().Resolve("T1059,"+strings.Repeat("x", MaxText), Hint{Tactic: strings.Repeat("TA0001,", MaxText)})
	if diff := cmp.Diff(Resolution{IDs: []string{"T1059"}, Note: "longer than 16 KiB, the rest is not read"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestAppendingToAResolutionLeavesTheCatalogueAlone(t *testing.T) {
	c := Embedded()
	first := c.Resolve("T1059", Hint{})
	_ = append(first.IDs, "T0000")
	if got := c.Resolve("T1059, T1003", Hint{}).IDs; !cmp.Equal(got, []string{"T1059", "T1003"}) {
		t.Errorf("after an append by a caller: %v", got)
	}
}

func TestTacticReadsEverySpelling(t *testing.T) {
	tests := []struct {
		ref, want string
	}{
		{"TA0001", "initial-access"},
		{"ta0005", "stealth"},
		{"TA0112", "defense-impairment"},
		{"TA0030", "defense-evasion"},
		{"TA0107", "inhibit-response-function"},
		{"Initial Access (TA0001)", "initial-access"},
		{"Defense Evasion", "defense-evasion"},
		{"defense-evasion", "defense-evasion"},
		{"defense_evasion", "defense-evasion"},
		{"DefenseEvasion", "defense-evasion"},
		{"Stealth", "stealth"},
		{"attack.defense-impairment", "defense-impairment"},
		{"mitre_credential_access", "credential-access"},
		{"CommandAndControl", "command-and-control"},
		{"Command & Control", "command-and-control"},
		{"tactic=Execution", "execution"},
		{"PrivEsc", "privilege-escalation"},
		{"", ""},
		{"PreAttack", ""},
		{"CSTA0008", ""},
		{"Machine Learning", ""},
		{"TA9999", ""},
		{strings.Repeat("execution", 50), ""},
	}
	for _, tt := range tests {
		if got, ok := Embedded().Tactic(tt.ref); got != tt.want || ok != (tt.want != "") {
			t.Errorf("Tactic(%q) = %q, %v; want %q", tt.ref, got, ok, tt.want)
		}
	}
}
