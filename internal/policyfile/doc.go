// Package policyfile reads and writes the files of policies. A file is YAML or JSON with one document or
// several. A document is the manifest of a policy, with two differences:
//
//   - implements and version may be left out. implements is then the interfaces that have rules.
//   - tests has cases with expected outcomes. They are not a part of the manifest.
//
// A file is decoded as strictly as a request to the service: unknown fields are refused. The files are:
//
//	read.go      the documents of a file, checked and compiled
//	case.go      the cases of tests
//	yaml.go      YAML to JSON
//	write.go     a manifest to YAML
//	example.go   the file that "roombus policy init" writes
//
// # YAML
//
// No value changes its meaning on the way to JSON. Words such as no, on and y are text. Dates are text.
// A number that JSON writes in another way, such as 0777, 0x1F, 1_000 or .5, is refused: it is either text
// that needs quotes, or a number to be written in decimal. The error has the line.
package policyfile
