package main

import (
	"encoding/json"
	"fmt"
	"os"
	"time"

	"forager/config"
	"forager/enrich"
	"forager/enrich/detection"
	"forager/mitre"
)

// This file alone knows both what an operator writes (config) and what the packages take
// (their Options), so that neither knows the other.

// newDecoder makes the reader of messages.
func newDecoder(c *config.Config, pins []detection.Pin, why bool) (*detection.Decoder, error) {
	o := detection.Options{Pins: pins, Why: why}
	for _, dir := range c.Formats.Directories {
		if info, err := os.Stat(dir); err != nil || !info.IsDir() {
			return nil, &usageError{fmt.Errorf("formats.directories: %s is no directory that can be read", dir)}
		}
		o.Formats = append(o.Formats, os.DirFS(dir))
	}
	for _, p := range c.Formats.Pins {
		o.Pins = append(o.Pins, detection.Pin{Subject: p.Subject, Format: p.Format})
	}
	d, err := detection.New(o)
	if err != nil {
		return nil, &usageError{fmt.Errorf("formats: %w", err)}
	}
	return d, nil
}

// newCatalogue makes the ATT&CK catalogue: the embedded one and the operator's bundles.
func newCatalogue(c *config.Config) (*mitre.Catalogue, error) {
	var bundles [][]byte
	for _, name := range c.Attack.Bundles {
		text, err := os.ReadFile(name)
		if err != nil {
			return nil, &usageError{fmt.Errorf("attack.bundles: %w", err)}
		}
		bundles = append(bundles, text)
	}
	catalogue, err := mitre.Embedded().With(bundles...)
	if err != nil {
		return nil, &usageError{fmt.Errorf("attack.bundles: %w", err)}
	}
	return catalogue, nil
}

// newPlanner makes the planner; target is what the server is known to hold, nil offline.
func newPlanner(c *config.Config, catalogue *mitre.Catalogue, target func() *mitre.Target) *enrich.Planner {
	return enrich.NewPlanner(enrich.PlannerOptions{
		Organisation: c.Hive.Organisation,
		Window:       caseWindow(c),
		Closed:       enrich.ClosedPolicy(c.Case.Closed),
		TLP:          -1,
		PAP:          -1,
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

// explainer wires what explain needs: the worker's own decoder and planner, and no network.
func (c *explainCmd) explainer(sh *shell, cfg *config.Config) (*explainer, error) {
	var pins []detection.Pin
	if c.Format != "" {
		pins = []detection.Pin{{Subject: ">", Format: c.Format}}
	}
	decoder, err := newDecoder(cfg, pins, c.Why)
	if err != nil {
		return nil, err
	}
	catalogue, err := newCatalogue(cfg)
	if err != nil {
		return nil, err
	}
	out := json.NewEncoder(sh.out)
	out.SetEscapeHTML(false)
	return &explainer{
		decoder: decoder, planner: newPlanner(cfg, catalogue, nil), out: out,
		subject: c.Subject, most: int(cfg.Pipeline.MaxMessageBytes),
	}, nil
}
