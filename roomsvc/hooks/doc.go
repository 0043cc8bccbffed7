// Package hooks asks apps about a change before it is committed.
//
// A hook is one app with one pre-interface. [Hooks] makes the hooks from the registrations that
// [Hooks.Set] gives it, and orders them into rounds. For each [Round] a command calls [Hooks.Gather],
// which sends the pre-event to all apps of the round and returns one answer for each. The package
// decides nothing about the command: rules.Combine does.
//
//	hooks.go       the hooks and rounds that follow from the registrations
//	hook.go        one app with one pre-interface, and answers without asking it
//	round.go       the order of apps, and the time of each
//	gather.go      asks the apps of a round
//	verdict.go     reads the reply of an app
//	breaker.go     keeps a failing app from being asked; failurerun.go weighs the failures
//	newworker.go   half-opens the breakers of apps that have a new worker
//	workerwait.go  waits for the workers of essential apps at the start
//	failopen.go    commands that go on without the verdict of an optional app
//	ignored.go     verdicts that are late or of another app
//	stats.go       calls, outcomes and times of each hook
//
// # When something fails
//
//   - An app without a worker is unavailable at once. A command waits for a worker of an essential
//     app until the app's timeout, unless the last calls found none either.
//   - An app that does not answer within its time has timed out. A later verdict is ignored, counted
//     and logged. An app that got less than its fair time is marked as hurried, and its breaker
//     does not count the call.
//   - An app that fails repeatedly is not asked while its breaker is open, except for one probe at
//     a time. A new worker or a registration allows a probe at once.
//   - If no outstanding answer can change the decision, the round ends. The answers still count for
//     the stats and the breakers.
//
// All methods may be called concurrently.
package hooks
