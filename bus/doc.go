// Package bus is the NATS plumbing under roombus. It knows no rooms.
//
//	embedded.go    a NATS server with JetStream inside this process, on a locked folder
//	disk.go        what keeps it going when its disk is full
//	settings.go    a connection from flags, environment and contexts of the nats CLI
//	provision.go   a server new enough, streams as they must be
//	ask.go         many requests at once, replies collected on one wildcard inbox
//	append.go      one guarded publish, its failures sorted into what the caller can do
//	trace.go       W3C trace context
package bus
