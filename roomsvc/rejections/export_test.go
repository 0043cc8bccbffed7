package rejections

// MaxQueued is the number of rejections that wait to be written at most.
const MaxQueued = maxQueued
