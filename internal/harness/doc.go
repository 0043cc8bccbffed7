// Package harness starts the real parts for tests: NATS servers, alone or in a cluster, room services, app
// workers, and the roombus program. It can also break their environment: a proxy that loses messages, a
// network with delays and partitions, and a small disk. Everything it starts ends with the test.
package harness
