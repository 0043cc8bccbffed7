package interrupt

import (
	"context"
	"io"
)

// Reader returns a reader whose Read returns when the context ends, even while r blocks, as a
// terminal may.
func Reader(ctx context.Context, r io.Reader) io.Reader {
	chunks := make(chan chunk)
	go func() {
		defer close(chunks)
		for {
			buf := make([]byte, chunkBytes)
			n, err := r.Read(buf)
			select {
			case chunks <- chunk{buf[:n], err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return &reader{ctx: ctx, chunks: chunks}
}

const chunkBytes = 64 << 10

type chunk struct {
	data []byte
	err  error
}

type reader struct {
	ctx    context.Context
	chunks <-chan chunk
	rest   chunk
}

func (r *reader) Read(p []byte) (int, error) {
	for len(r.rest.data) == 0 {
		if r.rest.err != nil {
			return 0, r.rest.err
		}
		select {
		case c, ok := <-r.chunks:
			if !ok {
				return 0, r.ctx.Err()
			}
			r.rest = c
		case <-r.ctx.Done():
			return 0, r.ctx.Err()
		}
	}
	n := copy(p, r.rest.data)
	r.rest.data = r.rest.data[n:]
	return n, nil
}
