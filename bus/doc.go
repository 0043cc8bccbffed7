// Package bus wraps NATS for the rest of roombus. It does not know rooms.
//
//	settings.go    a connection from flags, environment and contexts of the nats CLI
//	jetstream.go   the JetStream of the settings's domain
//	context.go     reads a context of the nats CLI from its file
//	provision.go   checks the server version, checks and creates streams
//	service.go     serves requests concurrently as a micro service
//	requester.go   sends requests concurrently, collects replies on one wildcard inbox
//	requests.go    retries requests and ends them
//	append.go      one guarded publish, its errors classified for the caller
//	appendgroup.go many guarded publishes in one atomic batch, for a server that syncs each write
//	account.go     the account that a message comes from
//	batcher.go     sends the messages of all goroutines in one write
//	leader.go      asks the leader of a stream
//	read.go        reads a stream to its end, or follows it
//	parking.go     consumers that are paused for ever
//	trace.go       W3C trace context
package bus
