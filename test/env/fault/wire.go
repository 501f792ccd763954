package fault

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Postgres' messages are framed alike: a byte that tells the kind, four that tell
// the length, themselves included, and the body; only the first that a client sends
// has no kind
// (https://www.postgresql.org/docs/current/protocol-message-formats.html).

// maxMessage is far above what any test sends.
const maxMessage = 256 << 20

func readMessage(from io.Reader) (byte, []byte, error) {
	var kind [1]byte
	if _, err := io.ReadFull(from, kind[:]); err != nil {
		return 0, nil, err
	}
	body, err := readBody(from)
	return kind[0], body, err
}

func readBody(from io.Reader) ([]byte, error) {
	var length [4]byte
	if _, err := io.ReadFull(from, length[:]); err != nil {
		return nil, err
	}
	size := binary.BigEndian.Uint32(length[:])
	if size < 4 || size > maxMessage {
		return nil, fmt.Errorf("message of %d bytes", size)
	}
	body := make([]byte, size-4)
	_, err := io.ReadFull(from, body)
	return body, err
}

// framed is a body with its length before it.
func framed(body []byte) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...)
}
