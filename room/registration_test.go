package room_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/roombus/roombus/room"
)

// guardOf returns a manifest of that version.
func guardOf(version string) room.Manifest {
	return room.Manifest{ID: "guard", Version: version, Implements: []room.Interface{room.PreRoomUserJoined}}
}

func registrationOf(version string, later ...string) room.Registration {
	r := room.Registration{Manifest: guardOf(version)}
	for _, v := range later {
		r = r.Replace(guardOf(v))
	}
	return r
}

func TestRegistration_RollBack(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		was        room.Registration
		to         []string // one after the other
		version    string
		from       string
		remembered []string
	}{
		"to the version before":       {registrationOf("1.0.0", "2.0.0"), []string{"1.0.0"}, "1.0.0", "2.0.0", []string{"2.0.0"}},
		"over versions in between":    {registrationOf("1.0.0", "2.0.0", "3.0.0"), []string{"1.0.0"}, "1.0.0", "3.0.0", []string{"3.0.0", "2.0.0"}},
		"to one in between":           {registrationOf("1.0.0", "2.0.0", "3.0.0"), []string{"1.0.0", "2.0.0"}, "2.0.0", "3.0.0", []string{"1.0.0", "3.0.0"}},
		"undone":                      {registrationOf("1.0.0", "2.0.0", "3.0.0"), []string{"1.0.0", "3.0.0"}, "3.0.0", "", []string{"1.0.0", "2.0.0"}},
		"to the version that counts":  {registrationOf("1.0.0", "2.0.0"), []string{"2.0.0"}, "2.0.0", "", []string{"1.0.0"}},
		"twice":                       {registrationOf("1.0.0", "2.0.0"), []string{"1.0.0", "1.0.0"}, "1.0.0", "2.0.0", []string{"2.0.0"}},
		"to another build":            {registrationOf("1.0.0+a", "2.0.0"), []string{"1.0.0+b"}, "1.0.0+a", "2.0.0", []string{"2.0.0"}},
		"and back and back once more": {registrationOf("1.0.0", "2.0.0"), []string{"1.0.0", "2.0.0", "1.0.0"}, "1.0.0", "2.0.0", []string{"2.0.0"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := c.was
			r.Operator.Shadow = new(true)
			for _, version := range c.to {
				next, changed, err := r.RollBack(version)
				require.NoError(t, err)
				assert.Equal(t, next.Version != r.Version, changed)
				r = next
			}
			assert.Equal(t, c.version, r.Version)
			assert.Equal(t, c.from, r.RolledBackFrom)
			assert.Equal(t, c.remembered, r.Versions())
			assert.True(t, *r.Operator.Shadow)
		})
	}
}

func TestRegistration_RollBackRefused(t *testing.T) {
	t.Parallel()
	broken := registrationOf("1.0.0", "2.0.0")
	broken.Remembered[0].Implements = []room.Interface{"PreCoffee"}
	for name, c := range map[string]struct {
		was     room.Registration
		to      string
		message string
	}{
		"a version that is not remembered": {registrationOf("1.0.0", "2.0.0", "3.0.0"), "1.5.0", "remembered besides 3.0.0: 2.0.0, 1.0.0"},
		"nothing is remembered":            {registrationOf("1.0.0"), "0.9.0", "remembered besides 1.0.0: none"},
		"a manifest that is not valid":     {broken, "1.0.0", "PreCoffee"},
	} {
		next, changed, err := c.was.RollBack(c.to)
		require.ErrorIs(t, err, &room.Error{Code: room.CodeInvalidRequest}, name)
		require.ErrorContains(t, err, c.message, name)
		assert.False(t, changed, name)
		assert.Equal(t, c.was, next, name)
	}
}

func TestRegistration_ReplaceEndsRollback(t *testing.T) {
	t.Parallel()
	r, _, err := registrationOf("1.0.0", "2.0.0").RollBack("1.0.0")
	require.NoError(t, err)
	assert.Equal(t, "2.0.0", r.Latest())
	r = r.Replace(guardOf("3.0.0"))
	assert.Equal(t, "3.0.0", r.Latest())
	assert.Empty(t, r.RolledBackFrom)
	assert.Equal(t, []string{"1.0.0", "2.0.0"}, r.Versions())
}

func TestRegistration_RemembersTheLatestTen(t *testing.T) {
	t.Parallel()
	r := registrationOf("1.0.0")
	for n := range 15 {
		r = r.Replace(guardOf(fmt.Sprintf("1.0.%d", n+1)))
	}
	versions := r.Versions()
	assert.Len(t, versions, room.MaxRemembered)
	assert.Equal(t, "1.0.14", versions[0])
	assert.Equal(t, "1.0.5", versions[9])
}
