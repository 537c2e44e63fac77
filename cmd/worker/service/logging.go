package service

import (
	"io"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"forager/cmd/worker/shell"
	"forager/config"
	"forager/enrich/apply"
)

// NewLogger writes to standard error as the configuration says.
func NewLogger(c *config.Config, w io.Writer) (*zap.Logger, error) {
	log, _, err := NewLeveledLogger(c, w)
	return log, err
}

// NewLeveledLogger writes to standard error as the configuration says; what is logged follows level.
func NewLeveledLogger(c *config.Config, w io.Writer) (log *zap.Logger, level zap.AtomicLevel, err error) {
	level, err = zap.ParseAtomicLevel(c.Log.Level)
	if err != nil {
		return nil, level, shell.Misuse(err)
	}
	ec := zap.NewProductionEncoderConfig()
	ec.EncodeTime = zapcore.RFC3339NanoTimeEncoder
	encoder := zapcore.NewJSONEncoder(ec)
	if c.Log.Format == "text" {
		encoder = zapcore.NewConsoleEncoder(ec)
	}
	return zap.New(zapcore.NewCore(encoder, zapcore.Lock(zapcore.AddSync(w)), level)), level, nil
}

// eventLog writes what an apply met on its way.
type eventLog struct{ log *zap.Logger }

// Happened logs an event: at debug what is normal under load, as a warning what somebody should see.
func (l eventLog) Happened(e apply.Event) {
	fields := []zap.Field{zap.Int("case", e.Case), zap.String("detail", e.Detail)}
	switch e.Kind {
	case apply.EventWaited, apply.EventNewCase, apply.EventNewAlert, apply.EventImported, apply.EventRebuilt, apply.EventRelated, apply.EventAnalysed, apply.EventResult:
		l.log.Debug(string(e.Kind), fields...)
	case apply.EventTakenOver, apply.EventAmbiguous, apply.EventOverLimit, apply.EventUnreleased, apply.EventUnanalysed, apply.EventDeferred:
		l.log.Info(string(e.Kind), fields...)
	default:
		l.log.Warn(string(e.Kind), fields...)
	}
}

var _ apply.Events = eventLog{}
