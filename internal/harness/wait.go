package harness

import "time"

// ReplyTime bounds the wait for operations that take milliseconds.
const ReplyTime = 10 * time.Second

// Tick is how often a test polls.
const Tick = 5 * time.Millisecond
