package markdown_test

import (
	"strings"
	"testing"

	"forager/enrich/markdown"
)

// BenchmarkText is the text of a detection: most of it holds no address.
func BenchmarkText(b *testing.B) {
	for name, s := range map[string]string{
		"words":     strings.Repeat("Multiple failed logons (user: *root*) within 5 minutes; ", 16),
		"addresses": strings.Repeat("powershell -enc from 10.0.0.7 to http://evil.example/x, by a@b.example | ", 12),
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(s)))
			b.ReportAllocs()
			for b.Loop() {
				markdown.Text(s)
			}
		})
	}
}
