// Package thresholdtest is the model of thresholds: what must pass, said as plainly as can be, for tests alone.
package thresholdtest

import (
	"cmp"
	"slices"

	"forager/enrich/threshold"
)

// Belongs tells of each detection of a multiset whether it belongs to a burst, and how many bursts there are. Detections
// whose times no gap of more than the window parts are one group; a group is a burst when a window of it has what
// the rule needs. Nothing else matters: neither the order in which they came nor when.
func Belongs(r threshold.Rule, items []threshold.Item) (belongs []bool, bursts int) {
	order := make([]int, len(items))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return cmp.Compare(items[a].At, items[b].At) })
	belongs = make([]bool, len(items))
	for begin := 0; begin < len(order); {
		end := begin + 1
		for end < len(order) && items[order[end]].At-items[order[end-1]].At <= r.Within {
			end++
		}
		if group := order[begin:end]; fires(r, items, group) {
			bursts++
			for _, i := range group {
				belongs[i] = true
			}
		}
		begin = end
	}
	return belongs, bursts
}

// fires looks at every window that begins with a detection of the group.
func fires(r threshold.Rule, items []threshold.Item, group []int) bool {
	for _, first := range group {
		var inside []threshold.Item
		for _, i := range group {
			if d := items[i].At - items[first].At; d >= 0 && d <= r.Within {
				inside = append(inside, items[i])
			}
		}
		if Weighs(r.Kind, inside) >= r.Need {
			return true
		}
	}
	return false
}

// Weighs is what some detections are together: how many ids, how many values, or the points of each id at its most.
func Weighs(kind threshold.Kind, items []threshold.Item) int64 {
	ids, values := map[string]int64{}, map[string]bool{}
	for _, i := range items {
		ids[i.ID] = max(ids[i.ID], i.Points)
		for _, v := range i.Values {
			values[v] = true
		}
	}
	switch kind {
	case threshold.Distinct:
		return int64(len(values))
	case threshold.Sum:
		total := int64(0)
		for _, p := range ids {
			total += p
		}
		return total
	default:
		return int64(len(ids))
	}
}
