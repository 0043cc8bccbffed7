// Package policy decides with the rules of policies. A policy is an app that has rules in CEL in place of
// workers.
//
//	compile.go  the rules of a manifest, checked and compiled
//	decide.go   the verdict about an event
//	deny.go     the rules of interfaces that may deny
//	extend.go   the rules of PreRoomCreateExtend
//	modify.go   the rules of PreRoomCreateModify
//
// The rules of an interface are evaluated in order. They see the same event: no rule sees what another one
// has changed. A rule sees nothing but the event and the documents that the policy names, and changes nothing
// else than its verdict.
//
// # When something fails
//
// A rule whose evaluation fails has no effect, and the rules behind it are still evaluated: a denial by one
// of them counts. If none denies, the policy has failed for this event. If the evaluations of all rules
// together exceed expression.MaxCost, the policy has failed at once.
package policy
