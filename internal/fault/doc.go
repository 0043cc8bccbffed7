// Package fault holds the tests that break things: processes are killed and stopped, networks
// parted, disks filled, services stormed. What must hold afterwards is checked against the
// stream itself.
//
// Every test has a short form, which runs with all others, and a long one for ROOMBUS_SOAK, a
// duration such as 10m: "make soak" runs those.
package fault
