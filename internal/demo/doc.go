// Package demo runs a NATS server, a room service and three apps in one process, and shows a short story
// of real commands: apps that deny, extend, modify and react, an essential app without a worker, and the
// records of a command that was denied and then allowed.
//
//	demo.go     runs the story and reports each step
//	story.go    the steps
//	stage.go    the apps' workers
//	apps.go     the apps
//	timeline.go the entries that are shown
package demo
