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
	sevNames  = wanted{names: folded("severity severity_name severity_label severity_text severity_id rule_level level priority risk_level threat_level criticality urgency sev risk_score risk score threat_score severity_score impact lvl magnitude"), parts: folded("severity risk level priority")}
	titles    = wanted{names: folded("title alert_title alert_name rule_name rule_title signature signature_name threat_name detection_name incident_name incident_type event_name display_name use_case rule_description policy_name finding_name subject headline name message msg summary short_message short_description description reason alert_type event_type category type action")}
	hostNames = wanted{names: folded("hostname host_name computer_name device_hostname device_name endpoint_name endpoint_hostname machine_name workstation workstation_name asset_name agent_name agent_hostname agent_computer_name server_name dvchost dhost shost host computer machine device endpoint fqdn dns_name device_dns_name node_name server node instance_id"), parts: folded("hostname computer machine workstation device endpoint host")}
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
	technique = regexp.MustCompile(`^(?i:attack\.)?[Tt]\d{4}(?:\.\d{3})?$`)
	cve       = regexp.MustCompile(`^(?i:CVE)-\d{4}-\d{4,}$`)
	filePath  = regexp.MustCompile(`^(?:[A-Za-z]:[\\/]|\\\\|/|\\Device\\|%)\S|^[^\s/\\:*?"<>|]{1,200}\.(?i:exe|dll|ps1|bat|cmd|vbs|js|jar|docx?|xlsx?|xlsm|pptx?|pdf|zip|rar|7z|iso|lnk|hta|msi|scr|sys|txt|bin|elf|sh|py|php|html?|eml|rtf|apk|dat|com|tmp)$`)
	fileNames = regexp.MustCompile(`file|path|image|exe|process|module|parent|attachment|program|object|target|initiating|causality|actor|folder|name|dll|hash`)
)

// isTime tells whether a text is a time of these years.
func isTime(s string) bool {
	t, _, ok := canon.Instant(s, time.Time{})
	return ok && t.Year() >= 2005 && t.Year() <= 2100
}

func isWord(s string) bool {
	return len(s) > 1 && len(s) < 400 && !canon.AllDigits(s) && !canon.IsJunk(s)
}

// isHost tells a name from a text.
func isHost(s string) bool {
	v, ok := canon.Canonical("host", s)
	return ok && v.DataType != "ip" && !canon.AllDigits(s) && !strings.ContainsAny(s, " /")
}

// isScale tells whether all values may be severities: words, or numbers of a small scale.
func isScale(s string) bool {
	if n, err := strconv.ParseFloat(s, 64); err == nil {
		return n >= 0 && n <= 1000
	}
	return slices.Contains([]string{
		"info", "informational", "information", "low", "medium", "moderate", "high", "critical", "severe", "warning", "warn", "error", "notice", "alert", "emergency", "debug", "minor", "major",
		"unknown", "none", "suspicious", "malicious", "important", "crit", "err", "p1", "p2", "p3", "p4", "p5",
	}, strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(strings.TrimPrefix(s, "SEVERITY_"), "RISK_"), "severity_")))
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
	case strings.HasSuffix(c.whole, "mailsubject") || c.name == "subject" && isWord(s):
		return "mail-subject"
	case strings.Contains(c.name, "url") || c.name == "uri" || c.name == "request":
		if v, ok := canon.Canonical("url", s); ok && strings.ContainsAny(s, "./") {
			return v.DataType
		}
	case filePath.MatchString(s) && fileNames.MatchString(c.whole):
		return "filename"
	case strings.Contains(s, "=") && strings.Contains(strings.ToLower(s), "md5="):
		return "hashes"
	}
	v, ok := canon.Canonical("auto", s)
	if ok && v.DataType != "other" && !canon.AllDigits(s) {
		return v.DataType
	}
	if strings.Contains(c.name, "domain") || c.name == "query" || c.name == "sni" {
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
