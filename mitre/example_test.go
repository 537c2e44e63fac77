package mitre_test

import (
	"fmt"

	"forager/mitre"
)

func Example() {
	catalogue := mitre.Embedded()
	target := catalogue.For(mitre.KnownRelease("19.0"))
	found := catalogue.Resolve("attack.defense_evasion, attack.t1562.001", mitre.Hint{})
	for _, id := range found.IDs {
		m := target.Map(id, "defense-evasion")
		fmt.Println(m.ID, m.Tactic)
		fmt.Println(m.Note)
	}
	fmt.Println(catalogue.Resolve("CST0023", mitre.Hint{}).Reason)
	// Output:
	// T1685 defense-impairment
	// T1562.001 reported, recorded as T1685 (ATT&CK 19.0)
	// vendor id
}
