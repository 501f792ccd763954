package namespaces_test

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/penstock-cd/penstock/server/namespaces"
)

func TestTheNamesStayWhileTheDatabaseIsAway(t *testing.T) {
	t.Parallel()
	var names []string
	away := errors.New("the database is away")
	err := away
	known := namespaces.New(func(context.Context) ([]string, error) { return names, err })
	require.ErrorIs(t, known.Refresh(t.Context()), away)
	require.Empty(t, known.Names(), "nothing is known before the first read")

	names, err = []string{"billing", "shop"}, nil
	require.NoError(t, known.Refresh(t.Context()))
	require.Equal(t, []string{"billing", "shop"}, known.Names())

	names, err = nil, away
	require.ErrorIs(t, known.Refresh(t.Context()), away)
	require.Equal(t, []string{"billing", "shop"}, known.Names())

	names, err = []string{"shop"}, nil
	require.NoError(t, known.Refresh(t.Context()))
	require.Equal(t, []string{"shop"}, known.Names())
}
