// Package forwarders holds the files in the folders beside it, each for one way in which alerts leave a product, and tests them: what each
// sends is a sample (sample.*), which the intake must take and a format must read. Where the forwarder itself can be had, it runs in the test.
//
// docs/how-to/forwarders.md says how to use them; "worker init" hands them out.
package forwarders
