package room

import (
	jsonv1 "encoding/json"
	"encoding/json/v2"
)

// sizeOf is how many bytes a value takes as JSON.
func sizeOf(v any) (int, error) {
	var n counter
	err := json.MarshalWrite(&n, v, jsonv1.DefaultOptionsV1())
	return int(n), err
}

type counter int

func (n *counter) Write(b []byte) (int, error) {
	*n += counter(len(b))
	return len(b), nil
}
