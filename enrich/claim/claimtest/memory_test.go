package claimtest_test

import (
	"testing"

	"forager/enrich/claim"
	"forager/enrich/claim/claimtest"
)

func TestMemoryKeepsTheContract(t *testing.T) {
	t.Parallel()
	claimtest.Run(t, func(*testing.T) claim.Store { return claimtest.New() })
}
