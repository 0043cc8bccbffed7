package harness

import "time"

// ReplyTime bounds the wait for operations that take milliseconds on a quiet machine.
const ReplyTime = 30 * time.Second

// Tick is how often a test polls.
const Tick = 5 * time.Millisecond
