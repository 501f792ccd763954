package table

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var now = time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC)

// read is a page with what an answer holds.
func read(t *testing.T, most int, answers ...string) *Page {
	t.Helper()
	page := &Page{}
	for _, answer := range answers {
		require.NoError(t, page.Read(strings.NewReader(answer), most))
	}
	page.Finish(now)
	return page
}

const twoRows = `{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":{"resourceVersion":"7","continue":"next","remainingItemCount":5},
"columnDefinitions":[{"name":"Name","type":"string","format":"name","description":"…","priority":0},{"name":"Replicas","type":"integer","priority":0},
 {"name":"Age","type":"string","priority":0},{"name":"Since","type":"date","priority":1}],
"rows":[
 {"cells":["web",3,"9h","2m"],"conditions":null,"object":{"kind":"PartialObjectMetadata","metadata":{"name":"web","namespace":"shop","uid":"u1","creationTimestamp":"2026-01-01T00:00:00Z","managedFields":[{"a":[1,{"b":2}]}]}}},
 {"cells":["db",null,"1s","soon"],"object":{"metadata":{"name":"db","namespace":"bank","uid":"u2","creationTimestamp":null}}}]}`

func TestATableIsReadInOrderAndItsAgesAreComputedWhenItIsShown(t *testing.T) {
	t.Parallel()
	page := read(t, 100, twoRows)
	require.Equal(t, []string{"Name", "Replicas", "Age", "Since"}, names(page))
	require.Equal(t, int32(1), page.Columns[3].Priority)
	require.Equal(t, "next", page.Continue)
	require.Equal(t, int64(5), page.Remaining)
	require.Equal(t, "bank/db", page.Rows[0].Namespace+"/"+page.Rows[0].Name)
	require.Equal(t, "[db <nil> <unknown> soon]", fmt.Sprint(page.Cells(page.Rows[0], now)))
	require.Equal(t, "[web 3 24h 2m]", fmt.Sprint(page.Cells(page.Rows[1], now)))
	require.Equal(t, "[web 3 25h 62m]", fmt.Sprint(page.Cells(page.Rows[1], now.Add(time.Hour))), "an hour later")
	require.Positive(t, page.Bytes)
}

func names(page *Page) (all []string) {
	for _, column := range page.Columns {
		all = append(all, column.Name)
	}
	return all
}

func TestAKindWithoutATableIsShownByNameAgeAndConditions(t *testing.T) {
	t.Parallel()
	page := read(t, 100, `{"apiVersion":"v1","kind":"ThingList","metadata":{},"items":[{"metadata":{"name":"a","namespace":"n","creationTimestamp":"2026-01-01T23:59:00Z"},
		"spec":{"a":[1,2]},"status":{"conditions":[{"type":"Ready","status":"True"},{"type":"Stalled","status":"False"},{"type":"Synced","status":"True"}]}}]}`)
	require.Equal(t, []string{"Name", "Age", "Conditions"}, names(page))
	require.Equal(t, "[a 60s Ready,Synced]", fmt.Sprint(page.Cells(page.Rows[0], now)))
}

func TestWhatIsNoListIsAnError(t *testing.T) {
	t.Parallel()
	for sentence, answer := range map[string]string{
		"nothing": "", "a text": `"hello"`, "a page": "<html>", "another object": `{"kind":"Status","code":200}`,
		"one that is cut before the rows": twoRows[:80], "one that is cut in a row": twoRows[:len(twoRows)-30], "one that is cut after the rows": twoRows[:len(twoRows)-1],
		"rows that are none": `{"kind":"Table","rows":{}}`, "cells that are none": `{"kind":"Table","rows":[{"cells":"a"}]}`,
		"a time that is none": `{"items":[{"metadata":{"creationTimestamp":"now"}}]}`,
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			require.Error(t, (&Page{}).Read(strings.NewReader(answer), 10))
		})
	}
}

func TestAnEmptyListIsAListOfNothing(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{`{"kind":"Table","columnDefinitions":[],"rows":[]}`, `{"kind":"List","items":null}`} {
		require.Empty(t, read(t, 10, answer).Rows)
	}
}

func TestNoMoreRowsAreReadThanWanted(t *testing.T) {
	t.Parallel()
	page := read(t, 1, twoRows)
	require.Len(t, page.Rows, 1)
	require.Equal(t, "next", page.Continue)
	page = read(t, 3, twoRows, twoRows)
	require.Len(t, page.Rows, 3)
}

func TestPagesShareTheirColumnsAndCommonTexts(t *testing.T) {
	t.Parallel()
	one, two := read(t, 10, twoRows), read(t, 10, twoRows)
	require.Same(t, &one.Columns[0], &two.Columns[0])
}

func TestDurationsAreReadAsKubectlPrintsThem(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]time.Duration{
		"5s": 5 * time.Second, "5m30s": 5*time.Minute + 30*time.Second, "3h2m": 182 * time.Minute, "2d3h": 51 * time.Hour, "2y45d": (2*365 + 45) * 24 * time.Hour,
	} {
		got, ok := parse(text)
		require.True(t, ok, text)
		require.Equal(t, want, got, text)
	}
	for _, text := range []string{"", "5", "s", "<unknown>", "<invalid>", "5m ago", "5x", "99999999999y", "-5s"} {
		_, ok := parse(text)
		require.False(t, ok, text)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(twoRows)
	f.Add(`{"items":[{"metadata":{"name":"a"}}]}`)
	f.Fuzz(func(t *testing.T, answer string) {
		page := &Page{}
		if page.Read(strings.NewReader(answer), 10) != nil {
			return
		}
		page.Finish(now)
		require.LessOrEqual(t, len(page.Rows), 10)
		for _, row := range page.Rows {
			page.Cells(row, now.Add(time.Hour))
		}
	})
}
