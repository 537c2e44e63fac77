package enrich

// outcomes collects what became of each plan of an apply.
type outcomes struct {
	errs     []error
	refusals [][]Refusal
}

func newOutcomes(n int) *outcomes {
	return &outcomes{errs: make([]error, n), refusals: make([][]Refusal, n)}
}

// fail gives plans an error, unless they have one.
func (o *outcomes) fail(plans []int, err error) {
	for _, i := range plans {
		if o.errs[i] == nil {
			o.errs[i] = err
		}
	}
}

// refuse charges plans with an item that TheHive refused for good.
func (o *outcomes) refuse(plans []int, r Refusal) {
	for _, i := range plans {
		o.refusals[i] = append(o.refusals[i], r)
	}
}

// all gives the verdict on each plan: its error, else its refusals, else nil.
func (o *outcomes) all() []error {
	for i, r := range o.refusals {
		if o.errs[i] == nil && len(r) > 0 {
			o.errs[i] = &RejectedError{Items: r}
		}
	}
	return o.errs
}
