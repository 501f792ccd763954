package fleet

import (
	"errors"
	"io"
	"net/http"
	"sync/atomic"
)

// errHeldBack is what the transport reads where it would send a write over a connection that was
// not proven.
var errHeldBack = errors.New("the connection to the cluster is new")

// passage is one try of a request.
type passage struct {
	proven  *Proven
	request *http.Request
	used    atomic.Pointer[countedConn]
	// heldBack is whether the body of a write was not sent.
	heldBack atomic.Bool
}

// newPassage returns a try of the request. One that is repeated reads its body anew.
func newPassage(proven *Proven, request *http.Request, isRepeated bool) (*passage, error) {
	one := &passage{proven: proven}
	one.request = request.WithContext(traceConnection(request.Context(), &one.used))
	if isWrite(request) && (request.Body == nil || request.Body == http.NoBody) {
		return nil, errors.New("a write without a body can't be held back")
	}
	if request.Body == nil {
		return one, nil
	}
	if anew := request.GetBody; anew != nil {
		one.request.GetBody = func() (io.ReadCloser, error) { return one.guard(anew()) }
	}
	var err error
	if isRepeated {
		if request.GetBody == nil {
			return nil, errHeldBack
		}
		one.request.Body, err = one.request.GetBody()
		return one, err
	}
	one.request.Body, err = one.guard(request.Body, nil)
	return one, err
}

// mayReturn tells whether the caller gets the result: a read that came over a proven connection, a
// write whose body went over one, and the error of a request that got no connection.
func (o *passage) mayReturn(used *countedConn, err error) bool {
	if used == nil {
		return err != nil
	}
	if isWrite(o.request) {
		return !o.heldBack.Load()
	}
	return used.proof.Load() == o.proven
}

func (o *passage) guard(body io.ReadCloser, err error) (io.ReadCloser, error) {
	if err != nil {
		return nil, err
	}
	return &guardedBody{ReadCloser: body, passage: o}, nil
}

// guardedBody is read only while the request goes over a proven connection.
type guardedBody struct {
	io.ReadCloser
	passage *passage
}

// Read implements io.Reader.
func (b *guardedBody) Read(into []byte) (int, error) {
	if used := b.passage.used.Load(); used == nil || used.proof.Load() != b.passage.proven {
		b.passage.heldBack.Store(true)
		return 0, errHeldBack
	}
	return b.ReadCloser.Read(into)
}
