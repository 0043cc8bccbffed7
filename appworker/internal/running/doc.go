// Package running keeps the set of handlers that run in a worker. It logs a handler that runs on after its
// deadline, once, and its end. A handler that never returns stays in the set and keeps its slot.
package running
