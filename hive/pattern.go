package hive

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"time"
)

// Pattern is an ATT&CK technique as this TheHive holds it (OutputPattern).
type Pattern struct {
	// ID is "~" and digits, PatternID the technique's, such as "T1566.001".
	ID        string `json:"_id"`
	PatternID string `json:"patternId"`
	// Name is the technique's name, URL its page.
	Name string `json:"name"`
	URL  string `json:"url"`
	// Tactics are short names, such as "initial-access".
	Tactics []string `json:"tactics"`
	// Revoked reports that ATT&CK withdrew it; TheHive takes it all the same.
	Revoked bool `json:"revoked"`
	// PatternType is "attack-pattern".
	PatternType string `json:"patternType"`
	// Version is the technique's own, not that of the ATT&CK release.
	Version string `json:"version"`
}

// patternID names the identity of a pattern to the decoders.
func patternID(p *Pattern) string { return p.ID }

// Pattern brings one pattern by technique id or by its own; 404 when this
// TheHive does not hold it (GET /api/v1/pattern/{patternId}).
func (c *Client) Pattern(ctx context.Context, id string) (Pattern, error) {
	const op = "get pattern"
	var out Pattern
	if !patternShape.MatchString(id) || len(id) > MaxLogin {
		return out, invalid(op, "pattern", "is no technique id: "+quote(id))
	}
	err := c.do(ctx, call{op: op, method: http.MethodGet, path: "/pattern/" + id, accept: intoEntity(&out, patternID)})
	return out, err
}

// PatternIDs lists the technique ids of all patterns that this TheHive holds,
// each once, oldest first (listPattern). An empty list means that ATT&CK has
// not been imported.
func (c *Client) PatternIDs(ctx context.Context) ([]string, error) {
	patterns, err := c.Patterns(ctx)
	ids := make([]string, 0, len(patterns))
	for _, p := range patterns {
		ids = append(ids, p.PatternID)
	}
	return distinct(ids), err
}

// Patterns lists all patterns that this TheHive holds, oldest first
// (listPattern): some seven hundred for a matrix, without their prose. One
// technique is there twice when two catalogues hold it.
func (c *Client) Patterns(ctx context.Context) ([]Pattern, error) {
	from := listOf("list patterns", "listPattern")
	from.omit = []string{ // some thousand characters each
		"description", "detection", "dataSources", "defenseBypassed",
		"permissionsRequired", "platforms", "systemRequirements",
	}
	var all []Pattern
	for p, err := range list(ctx, c, from, Query{PageSize: childPage}, patternID) {
		if err != nil {
			return nil, err
		}
		all = append(all, p)
	}
	return all, nil
}

// ImportResult is what TheHive reports of an import, pattern by pattern. What
// the report holds is not documented; it is kept as JSON.
type ImportResult struct {
	// Partial reports that TheHive answered 207: some patterns were refused.
	Partial bool
	// Report is TheHive's answer.
	Report json.RawMessage
}

// importTimeout bounds an import: TheHive takes minutes for a whole matrix.
const importTimeout = 5 * time.Minute

// ImportPatterns imports a STIX bundle of ATT&CK into a catalogue of TheHive,
// which is created when there is none of that name (1 to MaxLogin units);
// techniques that TheHive holds already are updated. The bundle is streamed
// (multipart POST /api/v1/pattern/import/attack). The call may take five
// minutes, or what ctx allows.
func (c *Client) ImportPatterns(ctx context.Context, name string, bundle io.Reader) (ImportResult, error) {
	const op = "import patterns"
	var out ImportResult
	if err := checkTexts(op, rule{"catalog", name, 1, MaxLogin}); err != nil {
		return out, err
	}
	file := Upload{Name: "attack.json", ContentType: "application/json", Body: bundle, Timeout: importTimeout}
	upload, err := c.bodyWithFile(op, map[string]any{"catalog": name}, "file", file)
	if err != nil {
		return out, err
	}
	err = c.do(ctx, call{
		op: op, method: http.MethodPost, path: "/pattern/import/attack", upload: upload, write: true,
		accept: func(status int, body []byte) error {
			out.Partial = status == http.StatusMultiStatus
			return decode(body, &out.Report)
		},
	})
	return out, err
}
