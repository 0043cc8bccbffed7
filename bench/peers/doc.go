// Command peers measures roombus side by side with what one would pick instead to ask five apps and
// gather their verdicts: webhooks, plugins, a broadcast, a message library. All carry the same
// pre-event to the same five apps, each app a process of its own, and take turns within one run:
// only the ratios between them mean something, on any machine.
//
//	run ──for each concurrency, round, peer──> measure ──gather──> apps (this program again)
//	                                              └──> report
//
// Each peer has a file with both of its halves: the one that asks, and the app.
package main
