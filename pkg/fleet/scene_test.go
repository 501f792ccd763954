package fleet

import (
	"encoding/pem"
	"io"
	"log"
	"time"

	"github.com/penstock-cd/penstock/pkg/bounded"
)

var (
	discard      = log.New(io.Discard, "", 0)
	testPatience = 10 * time.Second
	lateBy       = bounded.TimeoutError{After: 500 * time.Millisecond}
)

func pemOf(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
}
