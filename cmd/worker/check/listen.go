package check

import (
	"context"
	"time"

	"go.uber.org/zap"

	"forager/cmd/worker/service"
	"forager/cmd/worker/shell"
	"forager/config"
	"forager/pipeline/inspect"
	"forager/pipeline/stream"
)

// Listen hears for some time whether alerts are published where the stream does not listen ([inspect.Listen]). Its error is one of usage: the
// credentials cannot be read.
func Listen(ctx context.Context, c *config.Config, long time.Duration) ([]inspect.Finding, error) {
	how := service.Connection(c, zap.NewNop())
	how.Timeout = askWithin
	link, err := stream.Connect(ctx, how, nil)
	if err != nil {
		return nil, shell.Misuse(err)
	}
	defer link.Close()
	what := service.PipelineOptions(c, zap.NewNop()).Expected()
	what.Confirm = askWithin / 2
	return inspect.Listen(ctx, link, what, long), nil
}
