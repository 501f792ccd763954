package rest

// Page is where a list goes on.
type Page struct {
	// Next is the cursor of the next page. Empty at the end.
	Next string `json:"next,omitempty" doc:"Cursor of the next page: send it as ?cursor=. Absent on the last page."`
}

// Failure is why one part of an answer is missing. The other parts are complete.
type Failure struct {
	Status int    `json:"status" doc:"HTTP status that this part alone would have had."`
	Detail string `json:"detail" doc:"What failed, and what to do."`
}
