// Package latency collects latencies in a histogram and reports their quantiles.
package latency
