// Package scene has the parts of end-to-end tests that several of their packages share: users, apps and
// their verdicts, joins, and worker processes. Buses, services and programs are those of package harness.
package scene
