package enrich_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	"forager/enrich"
	"forager/enrich/detection/malformed"
	"forager/hive"
)

func TestTheClassFollowsFromTheError(t *testing.T) {
	t.Parallel()
	answer := func(status int) error {
		return fmt.Errorf("apply: %w", &hive.Error{Op: "create case", Status: status, Sent: true})
	}
	own := func(status int, kind string) error {
		return fmt.Errorf("apply: %w", &hive.Error{Op: "create case", Status: status, Sent: true, Type: kind})
	}
	for name, c := range map[string]struct {
		err  error
		want enrich.Class
	}{
		"no error":             {nil, enrich.None},
		"dropped":              {&enrich.DroppedError{Reason: "silenced"}, enrich.Dropped},
		"malformed":            {&enrich.MalformedError{Reason: "no correlation key"}, enrich.Malformed},
		"undecodable":          {&malformed.Error{Reason: "invalid json"}, enrich.Malformed},
		"rejected":             {&enrich.RejectedError{}, enrich.Rejected},
		"401":                  {own(http.StatusUnauthorized, "AuthenticationError"), enrich.Blocked},
		"403":                  {own(http.StatusForbidden, "AuthorizationError"), enrich.Blocked},
		"401 of a proxy":       {answer(http.StatusUnauthorized), enrich.Transient},
		"403 of a firewall":    {answer(http.StatusForbidden), enrich.Transient},
		"404 of a proxy":       {answer(http.StatusNotFound), enrich.Transient},
		"302 of a portal":      {answer(http.StatusFound), enrich.Transient},
		"429":                  {own(http.StatusTooManyRequests, "TooManyRequests"), enrich.Throttled},
		"429 of a proxy":       {answer(http.StatusTooManyRequests), enrich.Transient},
		"the same to a read":   {&hive.Error{Method: http.MethodPost, Path: "/api/v1/query", Status: http.StatusTooManyRequests, Sent: true}, enrich.Throttled},
		"404 of the apply":     {own(http.StatusNotFound, "NotFoundError"), enrich.Transient},
		"503":                  {answer(http.StatusServiceUnavailable), enrich.Transient},
		"no answer":            {answer(0), enrich.Transient},
		"ledger unreachable":   {fmt.Errorf("claim: %w", enrich.ErrLedger), enrich.Blocked},
		"no patterns":          {enrich.ErrNoPatterns, enrich.Blocked},
		"breaker open":         {&hive.Error{Err: enrich.ErrUnavailable}, enrich.Blocked},
		"claim lost":           {fmt.Errorf("x: %w", enrich.ErrLostClaim), enrich.Interrupted},
		"claim lost in a call": {&hive.Error{Status: 0, Err: enrich.ErrLostClaim}, enrich.Interrupted},
		"stopping":             {enrich.ErrStopping, enrich.Interrupted},
		"vanished":             {enrich.ErrVanished, enrich.Transient},
		"unsettled":            {enrich.ErrUnsettled, enrich.Transient},
		"a call that ended":    {fmt.Errorf("x: %w", context.Canceled), enrich.Interrupted},
		"credentials refused":  {&hive.Error{Err: hive.ErrCredentials}, enrich.Blocked},
		"a gate is closed":     {fmt.Errorf("x: %w", enrich.ErrHeld), enrich.Blocked},
		"key blocked":          {fmt.Errorf("x: %w", enrich.ErrKeyBlocked), enrich.Quarantined},
		"denied in one case":   {fmt.Errorf("x: %w", &enrich.DeniedError{Err: own(http.StatusForbidden, "AuthorizationError")}), enrich.Rejected},
		"items may pass later": {&enrich.UnsettledError{Err: own(http.StatusTooManyRequests, "TooManyRequests")}, enrich.Transient},
		"refused somewhere":    {&enrich.OrganisationError{Err: errors.New("no member")}, enrich.Blocked},
		"anything unknown":     {errors.New("surprise"), enrich.Transient},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := enrich.ClassOf(c.err); got != c.want {
				t.Errorf("class %v, want %v", got, c.want)
			}
		})
	}
}
