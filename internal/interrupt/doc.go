// Package interrupt handles signals and blocked reads of a command line program. The first signal ends the
// program's context, and the second ends the process.
package interrupt
