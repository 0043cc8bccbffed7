// Package bus is the NATS plumbing under roombus. It knows no rooms.
//
//	settings.go    a connection from flags, environment and contexts of the nats CLI
//	context.go     such a context, read from its file
//	provision.go   a server new enough, streams as they must be
//	service.go     requests served, any number at once, as the nats CLI sees a micro service
//	ask.go         many requests at once, replies collected on one wildcard inbox
//	asking.go      when a question is asked again, and how it ends
//	append.go      one guarded publish, its failures sorted into what the caller can do
//	appendgroup.go many of them in one batch, for a server that syncs each
//	publisher.go   what all of these send leaves together
//	read.go        a stream read to its end, or on and on
//	trace.go       W3C trace context
package bus
