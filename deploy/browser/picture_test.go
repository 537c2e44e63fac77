package browser

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/chromedp"
)

var update = flag.Bool("update", false, "write the pictures in docs/pictures anew")

// mostBytes of a picture.
const mostBytes = 100_000

// picture takes one of the page, when it is asked for.
func (s *stage) picture(t *testing.T, ctx context.Context, wide int64, scheme string) {
	t.Helper()
	if !*update {
		return
	}
	shot, err := chromedp.Run(ctx, chromedp.CaptureScreenshot())
	must(t, err)
	small := palette(t, shot)
	if len(small) > mostBytes {
		t.Errorf("a picture of %d bytes", len(small))
	}
	must(t, os.WriteFile(filepath.Join("..", "..", "docs", "pictures", fmt.Sprintf("page-%d-%s.png", wide, scheme)), small, 0o600))
}

// palette makes a picture small: its 255 most frequent colours are kept, the others become the nearest of these.
func palette(t *testing.T, shot []byte) []byte {
	t.Helper()
	full, err := png.Decode(bytes.NewReader(shot))
	must(t, err)
	counts, size := map[color.RGBA]int{}, full.Bounds()
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(full.At(x, y)).(color.RGBA) }
	for y := size.Min.Y; y < size.Max.Y; y++ {
		for x := size.Min.X; x < size.Max.X; x++ {
			counts[at(x, y)]++
		}
	}
	colours := make([]color.RGBA, 0, len(counts))
	for c := range counts {
		colours = append(colours, c)
	}
	slices.SortFunc(colours, func(a, b color.RGBA) int { return counts[b] - counts[a] })
	var kept color.Palette
	for _, c := range colours[:min(len(colours), 64)] {
		kept = append(kept, c)
	}
	nearest := map[color.RGBA]uint8{}
	out := image.NewPaletted(size, kept)
	for y := size.Min.Y; y < size.Max.Y; y++ {
		for x := size.Min.X; x < size.Max.X; x++ {
			c := at(x, y)
			i, known := nearest[c]
			if !known {
				i = uint8(kept.Index(c))
				nearest[c] = i
			}
			out.SetColorIndex(x, y, i)
		}
	}
	var b bytes.Buffer
	must(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&b, out))
	return b.Bytes()
}
