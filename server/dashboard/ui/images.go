package ui

import "github.com/penstock-cd/penstock/api/rest"

// WavesFilter is what the list of waves is narrowed down to.
type WavesFilter struct{ State, Namespace, BaseImage, History, Cursor string }

// waveStates are those of a wave, and itemStates those of its items.
var (
	waveStates = []string{"", "Running", "Stopped", "Succeeded", "Failed", "Cancelled"}
	itemStates = []string{"", "Failed", "Building", "Pending", "Deferred", "Succeeded", "Skipped"}
)

func (f Frame) waves(filter WavesFilter, state, history, cursor string) string {
	return f.With(f.Path("images"), "state", state, "namespace", filter.Namespace, "baseImage", filter.BaseImage, "history", history, "cursor", cursor)
}

func nextWaves(f Frame, filter WavesFilter, next string) string {
	if next == "" {
		return ""
	}
	return f.waves(filter, filter.State, filter.History, next)
}

func (f Frame) wave(wave rest.Wave) string {
	return f.Path("images", wave.Namespace, wave.BaseImage, count(wave.Number))
}

func nextItems(f Frame, detail rest.WaveDetail, state string) string {
	if detail.Next == "" {
		return ""
	}
	return f.With(f.wave(detail.Wave), "state", state, "cursor", detail.Next)
}

// waveProgress are the parts of a wave's bar, and the same in words.
func waveProgress(wave rest.Wave) (parts []segment, words string) {
	at := int64(0)
	for _, part := range []struct {
		tone, word string
		n          int64
	}{{"bad", "failed", wave.Failed}, {"good", "succeeded", wave.Succeeded}, {"busy", "building", wave.Running}, {"none", "skipped", wave.Skipped}, {"none", "to come", wave.Pending}} {
		if part.n == 0 || wave.Total == 0 {
			continue
		}
		parts = append(parts, segment{part.tone, at * scale / wave.Total, (at + part.n) * scale / wave.Total})
		at += part.n
		words += ", " + count(part.n) + " " + part.word
	}
	if words == "" {
		return nil, "nothing to build"
	}
	return parts, words[2:] + " of " + count(wave.Total)
}
