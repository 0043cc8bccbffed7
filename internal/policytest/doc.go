// Package policytest evaluates policies without a service: for one event, or for the cases of a file with
// their expected outcomes.
//
//	policy.go   one policy, and its outcome for an event
//	event.go    the event that the body of a pre-event describes
//	case.go     the cases of a policy
//	compare.go  what is expected and what comes out
//
// The outcome is that of the room service: the condition is evaluated first, then the rules, and the verdict
// is applied by rules.Combine. A verdict that the service would drop is a failure. A policy that is disabled
// or a shadow is evaluated as if it were in force.
package policytest
