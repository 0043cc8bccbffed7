package roomsvc

import (
	"bytes"
	"encoding/json"
)

// pageBytes is the size at which a page is full, below its limit too: a page must fit one message.
const pageBytes = 512 << 10

// body is a result that is encoded already.
type body []byte

// encodePage encodes a page: the items as a list of that name, up to the size of a page but at least
// one item, and the cursor of the next page. next returns the cursor behind the first n items, or ""
// if there are no more. Each item is encoded once.
func encodePage[T any](name string, items []T, next func(n int) string) (body, error) {
	var b bytes.Buffer
	write := json.NewEncoder(&b)
	value := func(v any) error {
		err := write.Encode(v)
		b.Truncate(max(0, b.Len()-1)) // without the newline
		return err
	}
	b.WriteString(`{"` + name + `":[`)
	n := 0
	for ; n < len(items); n++ {
		end := b.Len()
		if n > 0 {
			b.WriteByte(',')
		}
		if err := value(&items[n]); err != nil {
			return nil, err
		}
		if n > 0 && b.Len() > pageBytes {
			b.Truncate(end)
			break
		}
		if n == 0 {
			b.Grow(min(b.Len()*len(items), pageBytes)) // the items of a page have about the same size
		}
	}
	b.WriteByte(']')
	if cursor := next(n); cursor != "" {
		b.WriteString(`,"cursor":`)
		if err := value(cursor); err != nil {
			return nil, err
		}
	}
	b.WriteByte('}')
	return b.Bytes(), nil
}
