package main

// nearest returns the name that a mistyped one is nearest to; empty where none is near.
func nearest(typed string, names []string) string {
	best, closest := "", max(len(typed)/3, 2)+1 // two letters that changed places are two changes
	for _, name := range names {
		if d := distance(typed, name); d < min(closest, len(name)) {
			best, closest = name, d
		}
	}
	return best
}

// distance is how many letters must be changed, added or left out (Levenshtein).
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost = 1 + min(diagonal, row[j], row[j+1])
			}
			diagonal, row[j+1] = row[j+1], cost
		}
	}
	return row[len(b)]
}
