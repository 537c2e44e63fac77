package rulefiles

import (
	"time"

	"forager/config"
	"forager/enrich"
	"forager/enrich/detection"
	"forager/enrich/rules"
	"forager/mitre"
)

// NewDecoder makes the reader of messages; w reads the operator's formats and lists.
func NewDecoder(c *config.Config, w *Witness, trial Trial) (*detection.Decoder, error) {
	lists, wrongLists := allowLists(c, w.ReadFile)
	formats, wrongFolders := formatFolders(c, w)
	o := detection.Options{Formats: formats, Generic: c.Formats.Unknown == "generic", Why: trial.Why, Lists: lists, Redact: append([]string{}, c.Case.Redact...), Limits: detectionLimits(c)}
	for _, p := range c.Formats.Pins {
		if wrongFolders == nil { // else the formats that pins name may be in there
			o.Pins = append(o.Pins, detection.Pin{Subject: p.Subject, Format: p.Format})
		}
	}
	d, err := detection.New(o)
	if err := config.Join(wrongLists, wrongFolders, wrongFormats(c, err)); err != nil {
		return nil, err
	}
	if trial.File == "" && trial.Format == "" {
		return d, nil
	}
	return trial.decoder(o)
}

// NewPlanner makes the planner; target is what the server is known to hold, nil offline.
func NewPlanner(c *config.Config, catalogue *mitre.Catalogue, target func() *mitre.Target, router *rules.Router, now func() time.Time) *enrich.Planner {
	return enrich.NewPlanner(enrich.PlannerOptions{
		Router:       router,
		Now:          now,
		Organisation: c.Hive.Organisation,
		Window:       caseWindow(c),
		Closed:       rules.ClosedPolicy(c.Case.Closed),
		FullHosts:    c.Case.Host == "full",
		Raw:          enrich.Raw(c.Case.Raw),
		NewCases:     newCases(c),
		TLP:          -1,
		PAP:          -1,
		Objects:      objectRules(c),
		Zip:          enrich.ZipPolicy(c.Files.Zip),
		Catalogue:    catalogue,
		Target:       target,
	})
}

// caseWindow turns the configuration's "0 is no limit" into the planner's "negative is no limit".
func caseWindow(c *config.Config) time.Duration {
	if c.Case.Window == 0 {
		return -1
	}
	return c.Case.Window
}

// newCases turns the configuration's "0 is no limit" into the planner's "negative is no limit".
func newCases(c *config.Config) int {
	if c.Limits.NewCasesPerKey == 0 {
		return -1
	}
	return c.Limits.NewCasesPerKey
}

// detectionLimits bound what is taken from one message.
func detectionLimits(c *config.Config) detection.Limits {
	l := c.Limits
	return detection.Limits{
		Observables: l.ObservablesPerDetection, Techniques: l.TechniquesPerDetection, Tags: l.TagsPerDetection, Files: l.FilesPerDetection,
		Detections: l.DetectionsPerMessage, Unpacked: int(c.Pipeline.MaxMessageBytes),
	}
}

// objectRules says which objects senders may name.
func objectRules(c *config.Config) (rules []enrich.ObjectRule) {
	for _, r := range c.Files.Objects {
		rules = append(rules, enrich.ObjectRule{Subject: r.Subject, Bucket: r.Bucket, Prefix: r.Prefix})
	}
	return rules
}
