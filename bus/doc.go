// Package bus is the NATS plumbing under roombus. It knows no rooms.
//
//	settings.go    a connection from flags, environment and contexts of the nats CLI
//	context.go     such a context, read from its file
//	provision.go   a server new enough, streams as they must be
//	service.go     requests served, any number at once, as the nats CLI sees a micro service
//	requester.go   many requests at once, replies collected on one wildcard inbox
//	requests.go    when a request is sent again, and how it ends
//	append.go      one guarded publish, its failures sorted into what the caller can do
//	appendgroup.go many of them in one batch, for a server that syncs each
//	batcher.go     messages of all goroutines leave in one write
//	read.go        a stream read to its end, or on and on
//	trace.go       W3C trace context
package bus
