package ui

import (
	"fmt"
	"math"
	"time"

	"github.com/penstock-cd/penstock/api/rest"
)

const (
	// sparkBar is how wide a bar is with the gap to the next, and sparkHeight is the highest
	// bar, in pixels.
	sparkBar, sparkHeight = 7, 36
)

// spark is a small picture of how a figure went, and the same in words.
type spark struct {
	title, words string
	bars         []int // heights
}

// sparks are the pictures of a trend.
func sparks(trend rest.QueueTrend) []spark {
	rates, waits := make([]float64, len(trend.Points)), make([]float64, len(trend.Points))
	for i, point := range trend.Points {
		rates[i], waits[i] = point.PerSecond, point.WaitHalf
	}
	return []spark{
		sparkOf("Workflows created", rates, rateInWords, within(trend.Seconds)),
		sparkOf("Wait in the queue (median)", waits, waitInWords, within(trend.Seconds)),
	}
}

func sparkOf(title string, figures []float64, inWords func(float64) string, within string) spark {
	made := spark{title: title, words: "none " + within, bars: make([]int, len(figures))}
	most := 0.0
	for _, figure := range figures {
		most = max(most, figure)
	}
	if most == 0 {
		return made
	}
	for i, figure := range figures {
		made.bars[i] = int(math.Ceil(figure / most * sparkHeight))
	}
	made.words = inWords(figures[len(figures)-1]) + " now, at most " + inWords(most) + " " + within
	return made
}

// within says how far back a trend goes.
func within(seconds float64) string {
	if seconds >= time.Hour.Seconds() {
		return "in the last hour"
	}
	return "in the last " + Span(time.Duration(seconds*float64(time.Second)))
}

func rateInWords(perSecond float64) string {
	if perSecond == 0 || perSecond >= 1 {
		return fmt.Sprintf("%.3g/s", perSecond)
	}
	return fmt.Sprintf("%.2g/min", perSecond*60)
}

func waitInWords(seconds float64) string {
	switch {
	case seconds < 1:
		return fmt.Sprintf("%.3g ms", seconds*1000)
	case seconds < 10:
		return fmt.Sprintf("%.1f s", seconds)
	}
	return Span(time.Duration(seconds * float64(time.Second)))
}
