// Package trace reads traces of joins and leaves. A trace is text, plain or gzipped: the header
// "time,action,room,user", and then one line for each join or leave. A malformed line is reported, and
// reading continues after it.
package trace
