package policyfile

import _ "embed" // Example is a file

// Example is a file with policies and their tests.
//
//go:embed example.yaml
var Example string
