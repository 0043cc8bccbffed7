// Command peers compares roombus with other ways to ask five apps and gather their verdicts:
// webhooks,
// plugins, a broadcast, and a message library. All of them carry the same pre-event to the same
// five apps.
// Each app is a separate process. The peers take turns within one run: only the ratios between them
// are
// meaningful, on any machine.
//
//	run ──for each concurrency, round, peer──> measure ──gather──> apps (this program again)
//	                                              └──> report
//
// Each peer has a file with both of its halves: the asking side and the app.
package main
