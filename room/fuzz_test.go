package room_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
)

// seeds are the golden files.
func seeds(f *testing.F, add func(document []byte)) {
	f.Helper()
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(f, err)
	for _, file := range files {
		document, err := os.ReadFile(file)
		require.NoError(f, err)
		add(document)
	}
}

// rewritten returns v as JSON.
func rewritten(t require.TestingT, v any) []byte {
	data, err := json.Marshal(v)
	require.NoError(t, err)
	return data
}

// FuzzDecodeQuery: queries and the requests of operators.
func FuzzDecodeQuery(f *testing.F) {
	seeds(f, func(document []byte) { f.Add(document) })
	f.Fuzz(func(t *testing.T, document []byte) {
		var list room.ListRequest
		if room.Decode(document, &list) == nil && list.Validate() == nil {
			size := room.PageSize(list.Limit)
			require.True(t, 1 <= size && size <= room.MaxPage, size)
		}
		for _, r := range []interface{ Validate() error }{
			&room.GetRequest{}, &room.ListRequest{}, &room.MembersRequest{}, &room.AppRequest{}, &room.ShadowRequest{}, &room.RollbackRequest{},
			&room.ParamPut{}, &room.ParamRequest{},
		} {
			if room.Decode(document, r) != nil || r.Validate() != nil {
				continue
			}
			written := string(rewritten(t, r))
			require.NoError(t, room.Decode([]byte(written), r))
			require.NoError(t, r.Validate())
			require.Equal(t, written, string(rewritten(t, r)))
		}
	})
}
