package config

import (
	"strings"
	"testing"
)

func TestWhatSourcesAreToldDoesNotComeBack(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"feedback: {subject: forager.feedback}":                                                     "",
		"feedback: {subject: detections.feedback}":                                                  "lies within nats.subjects (detections.>)",
		"nats: {subjects: [a.b]}\nfeedback: {subject: detections.feedback}":                         "",
		"nats: {subjects: ['*.feedback.elastic.*.*']}\nfeedback: {subject: detections.feedback}":    "lies within",
		"nats: {subjects: ['detections.feedback.>']}\nfeedback: {subject: detections.feedback}":     "lies within",
		"nats: {subjects: ['detections.*.elastic.1']}\nfeedback: {subject: detections.feedback}":    "",
		"feedback: {subject: forager.>}":                                                            "no wildcards",
		"feedback: {subject: forager..a}":                                                           "no wildcards",
		"feedback: {subject: forager.feedback, stream: ''}":                                         "feedback.stream",
		"feedback: {subject: forager.feedback, stream: a.b}":                                        "a name has no spaces",
		"feedback: {subject: forager.feedback, statuses: some}":                                     "closed",
		"feedback: {subject: forager.feedback, look: 1s}":                                           "feedback.look",
		"feedback: {subject: forager.feedback, statuses: all, look: 1h, perCase: 5000, stream: FB}": "",
	} {
		_, err := Load(Source{Name: "f.yaml", Text: []byte(text)})
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}
