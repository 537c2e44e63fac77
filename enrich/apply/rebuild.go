package apply

import "context"

// rebuild makes the entry say what TheHive lists: the truth after a holder that left without
// saying what it did, or for a case that the ledger does not know.
func (w *work) rebuild(held context.Context) error {
	for _, list := range []func(context.Context) error{w.listObservables, w.listProcedures, w.listComments} {
		if err := list(held); err != nil {
			return err
		}
	}
	w.e.happened(EventRebuilt, w.c.Number, w.claim.Name())
	return nil
}
