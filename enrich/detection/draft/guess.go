package draft

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"forager/enrich/detection/canon"
	"forager/enrich/detection/tree"
)

// Well-known names of what a detection consists of, folded, the best first.
var (
	timeNames = wanted{names: folded("original_time @timestamp timestamp event_time alert_time detection_time detected_at detect_time occurred_at event_timestamp created_at creation_time create_time created created_date_time created_date first_event_time first_event_seen first_seen first_detected first_activity_date_time start_time start generated_time receive_time received time_generated event_date event_create_time timestamp_occurred datetime date time ts published rt last_seen updated_at end"), parts: folded("detect occur creat event start raised generat identif seen time date stamp surfaced activity")}
	sevNames  = wanted{names: folded("severity severity_name severity_label severity_text vendor_severity severity_id rule_level risk_level threat_level criticality urgency confidence_level priority level sev risk_score risk score threat_score severity_score impact lvl magnitude"), parts: folded("severity risk level priority")}
	titles    = wanted{names: folded("title alert_title alert_name rule_name rule_title signature signature_name threat_name detection_name incident_name incident_type event_name display_name use_case rule_description policy_name finding_name subject headline name message msg summary short_message short_description description reason alert_type event_type category type action")}
	hostNames = wanted{names: folded("device_hostname computer_name device_name endpoint_name endpoint_hostname machine_name workstation workstation_name asset_name canary_name pod_name entity_snapshot_name entity_value_name resource_name ident_host_name agent_name agent_hostname agent_computer_name hostname host_name server_name dhost shost dvchost host computer machine device endpoint fqdn dns_name device_dns_name node_name server node instance instance_id asset_asset offense_source"), parts: folded("hostname computer machine workstation device endpoint host")}
	userNames = wanted{names: folded("user_name username account_name user_principal_name upn login login_name logon_name target_user target_user_name subject_user_name src_user source_user suser duser actor_name user account actor principal user_id user_email userid email"), parts: folded("username account login user")}
	idNames   = wanted{names: folded("id uuid alert_id event_id detection_id incident_id finding_id alert_uuid external_id _id guid uid eventid alertid")}
	ruleIDs   = wanted{names: folded("rule_id signature_id policy_id detector_id sid plugin_id rule_uuid")}
	linkNames = wanted{names: folded("link alert_url alert_link console_url console_link portal_url permalink web_url incident_url event_url html_url details_url url_link workbench_link incident_web_url alert_web_url")}
	cmdNames  = wanted{names: folded("command_line commandline cmdline process_command_line cmd_line cmd command")}
)

func folded(names string) []string {
	var all []string
	for n := range strings.FieldsSeq(names) {
		all = append(all, tree.Fold(n))
	}
	return all
}

var (
	technique   = regexp.MustCompile(`^(?i:attack\.)?[Tt]\d{4}(?:\.\d{3})?$`)
	cve         = regexp.MustCompile(`^(?i:CVE)-\d{4}-\d{4,}$`)
	filePath    = regexp.MustCompile(`^(?:[A-Za-z]:[\\/]|\\\\|/|\\Device\\|%)\S|^[^\s/\\:*?"<>|]{1,200}\.(?i:exe|dll|ps1|bat|cmd|vbs|js|jar|docx?|xlsx?|xlsm|pptx?|pdf|zip|rar|7z|iso|lnk|hta|msi|scr|sys|txt|bin|elf|sh|py|php|html?|eml|rtf|apk|dat|com|tmp)$`)
	drivePath   = regexp.MustCompile(`^(?i:file:///)?[A-Za-z]:[\\/][^\s"]`)
	hashPairs   = regexp.MustCompile(`(?i)\b(?:md5|sha1|sha256|imphash)=[0-9a-f]{32}`)
	tupleOf     = regexp.MustCompile(`^\S+:\d+->\S+:\d+$`)
	agentOf     = regexp.MustCompile(`^(?:Mozilla|curl|Wget|python-requests|aws-cli|aws-sdk-\w+|Boto3?|Botocore|Go-http-client|okhttp|PostmanRuntime|axios)/\d`)
	macOf       = regexp.MustCompile(`^(?i:[0-9a-f]{2}[:-]){5}[0-9a-fA-F]{2}$|^[0-9a-fA-F]{12}$`)
	dnsNames    = regexp.MustCompile(`domain|dns|fqdn|^query|^sni$|^label|^destination$|remotehost|hostname|reverse`)
	mailSubject = regexp.MustCompile(`^subject$|(?:mail|item|msg|message)subject$`)
	fileNames   = regexp.MustCompile(`file|path|image|exe|process|module|parent|attachment|program|object|target|initiating|causality|actor|folder|name|dll|hash`)
)

// isTime tells whether a text is a time of these years.
func isTime(s string) bool {
	t, _, ok := canon.Instant(s, time.Time{})
	return ok && t.Year() >= 2005 && t.Year() <= 2100
}

func isWord(s string) bool {
	return len(s) > 1 && len(s) < 400 && !canon.AllDigits(s) && !canon.IsJunk(s)
}

// relay is in the path of what hands alerts on, or of what a host is looked at for; aside are words about a host that are not its name.
var (
	relay = regexp.MustCompile(`syslog|observer|collector|sensor|appliance|manager|reporter|http|url|request|query|srcendpoint|evidences`)
	aside = regexp.MustCompile(`(?i)vendor|product|version|model|rooted|owner|serial|type$|os$|external|class|status|state|risk|score|count|policy|group|tag|capture|mac$|reverse`)
)

// isHosts tells whether a column may name the host.
func (c *column) isHosts() bool {
	return c.some(isHost) && !aside.MatchString(c.last) && c.each(func(s string) bool { return s != "true" && s != "false" })
}

// domainUser is a name with its domain before it, and portOf one with a port behind it.
var (
	domainUser = regexp.MustCompile(`^[A-Za-z0-9_.-]+\\`)
	portOf     = regexp.MustCompile(`:\d{1,5}$`)
)

// isHost tells a name from a text.
func isHost(s string) bool {
	s = portOf.ReplaceAllString(domainUser.ReplaceAllString(s, ""), "")
	v, ok := canon.Canonical("host", s)
	return ok && v.DataType != "ip" && !canon.AllDigits(s) && !strings.ContainsAny(s, " /")
}

// level is a word for a severity without what products put before it.
func level(s string) string {
	s = strings.ToLower(s)
	for _, p := range []string{"severity_", "risk_", "riskscore_", "threat_"} {
		s = strings.TrimPrefix(s, p)
	}
	return s
}

// isRisk tells words for a danger from those for the weight of a log's line.
func isRisk(s string) bool {
	return slices.Contains([]string{"low", "medium", "moderate", "high", "critical", "severe", "suspicious", "malicious", "important"}, level(s))
}

// isScale tells whether all values may be severities: words, or numbers of a small scale.
func isScale(s string) bool {
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		return n >= 0 && n <= 1000
	}
	return slices.Contains([]string{
		"info", "informational", "information", "low", "medium", "moderate", "high", "critical", "severe", "warning", "warn", "error", "notice", "alert", "emergency", "debug", "minor", "major",
		"unknown", "none", "suspicious", "malicious", "important", "crit", "err", "p1", "p2", "p3", "p4", "p5",
	}, level(s))
}

// kind is the type of observable that a column holds, and whether the values leave no doubt; empty is none.
func (c *column) kind() (dataType string, sure bool) {
	if c.some(isTime) && c.each(func(s string) bool { return isTime(s) || canon.IsJunk(s) }) || strings.Contains(c.name, "version") {
		return "", false
	}
	kinds := map[string]int{}
	for _, s := range c.values {
		if k := kindOf(c, s); k != "" {
			kinds[k]++
		}
	}
	if kinds["fqdn"]+kinds["domain"]+kinds["hostname"] > 0 {
		kinds["host"] = kinds["fqdn"] + kinds["domain"] + kinds["hostname"]
		delete(kinds, "fqdn")
		delete(kinds, "domain")
		delete(kinds, "hostname")
		if kinds["ip"] > 0 {
			kinds["host"] += kinds["ip"]
			delete(kinds, "ip")
		}
	}
	switch len(kinds) {
	case 0:
		return "", false
	case 1:
		for k, n := range kinds {
			return k, 2*n > len(c.values)
		}
	}
	return "auto", false
}

// kindOf types one value: by its shape, and where that says nothing by the column's name.
func kindOf(c *column, s string) string {
	switch {
	case canon.IsJunk(s) || len(s) < 3:
		return ""
	case cve.MatchString(s):
		return "cve"
	case strings.HasPrefix(s, "HKEY_") || strings.HasPrefix(s, "HKLM\\") || strings.HasPrefix(s, `\REGISTRY\`) || strings.HasPrefix(s, "HKCU\\"):
		return "registry"
	case strings.Contains(c.name, "useragent") || c.name == "browser" && strings.Contains(s, "/") || c.whole != c.name && strings.HasSuffix(c.whole, "useragentoriginal"):
		return "user-agent"
	case agentOf.MatchString(s):
		return "user-agent"
	case macOf.MatchString(s) && strings.Contains(c.name, "mac"):
		return "mac-address"
	case mailSubject.MatchString(c.name) && isWord(s):
		return "mail-subject"
	case strings.Contains(c.name, "url") || c.name == "uri" || c.name == "request":
		if v, ok := canon.Canonical("url", s); ok && strings.ContainsAny(s, "./") {
			return v.DataType
		}
	case filePath.MatchString(s) && fileNames.MatchString(c.whole), drivePath.MatchString(s):
		return "filename"
	case hashPairs.MatchString(s):
		return "hashes"
	case tupleOf.MatchString(s):
		return "tuple"
	}
	v, ok := canon.Canonical("auto", s)
	if ok && v.DataType != "other" && !canon.AllDigits(s) {
		return v.DataType
	}
	if dnsNames.MatchString(c.name) {
		if _, ok := canon.Canonical("host", s); ok && strings.Contains(s, ".") {
			return "host"
		}
	}
	if slices.Contains([]string{"processname", "filename", "image", "procname", "imagename", "parentprocessname", "parentname", "pname"}, c.name) && isWord(s) && !strings.ContainsAny(s, " ") {
		return "filename"
	}
	return ""
}

// direction is the tag of a column that says where something came from, or went to.
func (c *column) direction() string {
	for _, d := range []struct{ tag, names string }{
		{"src", "src source client remote attacker caller sender from local initiator"},
		{"dst", "dst dest destination target server victim recipient responder"},
	} {
		for n := range strings.FieldsSeq(d.names) {
			if strings.HasPrefix(c.name, n) || c.depth > 1 && strings.Contains(c.whole, n) {
				return d.tag
			}
		}
	}
	return ""
}
