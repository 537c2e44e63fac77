package enrich

import (
	"testing"

	"forager/enrich/detection"
)

// TestObservableTextSaysWhatValuesWere: values of several rules may go in one call, and then have one text.
func TestObservableTextSaysWhatValuesWere(t *testing.T) {
	a, b, c, d := Detector{"Brute force", "wazuh"}, Detector{"Port scan", "suricata"}, Detector{"Beacon", "zeek"}, Detector{"Logon", "sysmon"}
	for want, of := range map[string]struct {
		o  detection.Observable
		by []Detector
	}{
		"source address in *Brute force*, wazuh":                                                    {detection.Observable{DataType: "ip", Tags: []string{"src"}}, []Detector{a}},
		"hostname in *Brute force*, wazuh":                                                          {detection.Observable{DataType: "hostname"}, []Detector{a}},
		"said by the sender\n\nparent hash in *Brute force*, wazuh":                                 {detection.Observable{DataType: "hash", Tags: []string{"parent"}, Message: "said by the sender"}, []Detector{a}},
		"address in one of *Brute force*, wazuh; *Port scan*, suricata":                             {detection.Observable{DataType: "ip"}, []Detector{a, b}},
		"address in one of *Brute force*, wazuh; *Port scan*, suricata; *Beacon*, zeek; and 1 more": {detection.Observable{DataType: "ip"}, []Detector{a, b, c, d}},
		"said by the sender": {detection.Observable{DataType: "ip", Message: "said by the sender"}, nil},
	} {
		if got := ObservableText(of.o, of.by); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
