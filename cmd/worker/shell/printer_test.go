package shell

import (
	"bytes"
	"io"
	"strings"
	"testing"
	"testing/iotest"
)

func TestWhatATerminalWouldObeyIsWrittenOut(t *testing.T) {
	for in, want := range map[string]string{
		"plain\tline\n": "plain\tline\n", "é 🎉 \u200d": "é 🎉 \u200d", "\x1b[2J": `\u001b[2J`, "a\rb": `a\u000db`, "\x00\x07\x7f": `\u0000\u0007\u007f`,
		"\u0085\u009b31m": `\u0085\u009b31m`, "\u202egnp.exe": `\u202egnp.exe`, "\u2066\u2069\u200b\ufeff\u2028": `\u2066\u2069\u200b\ufeff\u2028`,
		"\U000e0041": `\udb40\udc41`, "\xff\x9b": "\ufffd\ufffd",
	} {
		var whole, pieces bytes.Buffer
		if _, err := (&Printer{to: &whole}).Write([]byte(in)); err != nil || whole.String() != want {
			t.Errorf("%q is written as %q, want %q; %v", in, whole.String(), want, err)
		}
		p := &Printer{to: &pieces}
		one := iotest.OneByteReader(strings.NewReader(in + "."))
		for b := make([]byte, 1); ; {
			n, err := one.Read(b)
			if err != nil {
				break
			}
			if _, err := p.Write(b[:n]); err != nil {
				t.Fatal(err)
			}
		}
		if pieces.String() != want+"." {
			t.Errorf("%q in pieces is written as %q, want %q", in, pieces.String(), want)
		}
	}
}

// BenchmarkPrinter writes a line of the log, as for each message, and one with what is not ASCII.
func BenchmarkPrinter(b *testing.B) {
	line := `{"level":"info","ts":"2026-11-28T04:00:00.123456789Z","msg":"message","subject":"detections.edr","sequence":123456,"key":"host:web01","outcome":"carried","cases":[17],"observables":12,"duration":0.0123}` + "\n"
	for name, text := range map[string][]byte{"ascii": []byte(line), "letters": []byte(strings.ReplaceAll(line, "edr", "é"))} {
		b.Run(name, func(b *testing.B) {
			p := &Printer{to: io.Discard}
			b.SetBytes(int64(len(text)))
			for b.Loop() {
				if _, err := p.Write(text); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
