package expression

import (
	"encoding/json"
	"fmt"

	"cel.dev/cel-go/common/types/ref"

	"github.com/roombus/roombus/room"
)

// MaxDocumentValues bounds the values of a document: strings, numbers, bools, nulls, arrays and objects, at
// any depth. Comparing two documents then takes some milliseconds.
const MaxDocumentValues = 150_000

// Document is a JSON document that rules read. It does not change. It is safe for concurrent use.
type Document struct{ value ref.Val }

// Params are documents by name.
type Params map[string]*Document

// NewDocument decodes a document. The error is of code invalid_request or too_large.
func NewDocument(data []byte) (*Document, error) {
	if len(data) > room.MaxParamBytes {
		return nil, room.Errorf(room.CodeTooLarge, "document has %d bytes; at most %d are allowed", len(data), room.MaxParamBytes)
	}
	value, err := decodeDocument(data)
	if err != nil {
		return nil, err
	}
	count := 0
	value = indexed(value, &count)
	if count > MaxDocumentValues {
		return nil, room.Errorf(room.CodeTooLarge, "document has %d values; at most %d are allowed", count, MaxDocumentValues)
	}
	return &Document{adapter{}.NativeToValue(value)}, nil
}

// decodeDocument decodes the document like the field of a request, so that the same JSON is valid
// everywhere.
func decodeDocument(data []byte) (any, error) {
	var raw json.RawMessage
	if err := json.Unmarshal(data, &raw); err != nil { // it says where
		return nil, room.Errorf(room.CodeInvalidRequest, "document is not JSON: %v", err)
	}
	var field struct {
		Document any `json:"document"`
	}
	err := room.Decode(fmt.Appendf(nil, `{"document":%s}`, data), &field)
	return field.Document, err
}

// indexed replaces long arrays and objects by values that are fast to read. It counts all values.
func indexed(v any, count *int) any {
	*count++
	switch v := v.(type) {
	case map[string]any:
		for key, of := range v {
			v[key] = indexed(of, count)
		}
		return newDictionary(v).prepared()
	case []any:
		for n, of := range v {
			v[n] = indexed(of, count)
		}
		return longArray(v)
	}
	return v
}
