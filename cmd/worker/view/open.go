package view

import (
	"context"
	"errors"
	"strconv"

	"forager/cmd/worker/page"
	"forager/enrich"
	"forager/enrich/detection"
	"forager/pipeline/stream"
)

// Open reads a message of the stream again, and explains it by the rules that are in force now. Only messages that the
// page shows are opened.
func (v *View) Open(ctx context.Context, sequence uint64) (page.Opened, error) {
	shown, ok := v.options.History.Known(sequence)
	if !ok {
		return page.Opened{}, page.ErrGone
	}
	link, err := v.connected(ctx)
	if err != nil {
		return page.Opened{}, err
	}
	m, err := link.ReadMessage(ctx, shown.Stream, sequence)
	if errors.Is(err, stream.ErrNoMessage) {
		return page.Opened{}, page.ErrGone
	}
	if err != nil {
		return page.Opened{}, err
	}
	lines := v.options.Explain("message "+strconv.FormatUint(sequence, 10),
		detection.Message{Subject: m.Subject, Header: m.Header, Body: m.Body, Time: m.Time},
		enrich.Origin{Stream: shown.Stream, Sequence: sequence, Time: m.Time, Subject: m.Subject})
	return page.Opened{Row: v.row(shown), Subject: m.Subject, Stored: m.Time, Bytes: len(m.Body), Lines: lines}, nil
}
