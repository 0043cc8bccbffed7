package room

import (
	"encoding/json"
	"time"
)

// MaxParamBytes bounds a document for policies. With the default max_payload of a NATS server, 1 MiB, the
// bound is 64 KiB lower, because a document is sent in one message.
const MaxParamBytes = 1 << 20

// MaxParamsBytes bounds all documents together. Each room service has them in memory, where an unusual
// document takes sixty times its bytes, and a list of ids about ten times.
const MaxParamsBytes = 32 << 20

// Param is a named JSON document that policies read.
type Param struct {
	Name     string          `json:"name"`
	Revision uint64          `json:"revision"` // of the registry, when the document was put
	Time     time.Time       `json:"time"`     // when it was put
	Bytes    int             `json:"bytes"`    // without white space
	Readers  []string        `json:"readers"`  // the policies that read it, by id
	Document json.RawMessage `json:"document,omitempty"`
}

// ParamPut is the request to put a document.
type ParamPut struct {
	Name     string          `json:"name"`
	Document json.RawMessage `json:"document"`
	// IfRevision refuses the document if the stored one has another revision, with conflict, or if there is
	// none, with param_not_found. 0: there must be none. It does not matter if the stored document is the same.
	IfRevision *uint64 `json:"ifRevision,omitempty"`
}

// ParamRequest names a document. An empty name means all documents where that is possible.
type ParamRequest struct {
	Name string `json:"name,omitempty"`
}

// Validate returns an error of code invalid_request or too_large if the request cannot be served.
func (r ParamPut) Validate() error {
	if err := ValidateParamName("name", r.Name); err != nil {
		return err
	}
	switch size := len(r.Document); {
	case size == 0:
		return invalid("document is required")
	case size > MaxParamBytes:
		return Errorf(CodeTooLarge, "document has %d bytes; at most %d are allowed", size, MaxParamBytes)
	}
	return nil
}

// Validate returns an error of code invalid_request if the request cannot be served.
func (r ParamRequest) Validate() error {
	if r.Name == "" {
		return nil
	}
	return ValidateParamName("name", r.Name)
}
