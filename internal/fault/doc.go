// Package fault holds tests that inject faults: killed and stopped processes, network partitions,
// full disks,
// and bursts of load. The tests then compare the state with the stream itself.
//
// Every test has a short form, which runs with all other tests, and a long form. ROOMBUS_SOAK
// selects the long
// form and its duration, such as 10m. "make soak" runs the long forms.
package fault
