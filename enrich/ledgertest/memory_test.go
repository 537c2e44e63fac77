package ledgertest_test

import (
	"testing"

	"forager/enrich"
	"forager/enrich/ledgertest"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	t.Parallel()
	ledgertest.Run(t, func(*testing.T) enrich.Ledger { return ledgertest.New() })
}
