package server

import (
	"time"

	"github.com/penstock-cd/penstock/server/bucket"
)

// Every bound that protects the server, Postgres and the API server from callers.
const (
	// maxConnections is how many connections are open at once; further ones wait in the
	// kernel. One costs about 60 KiB with TLS.
	maxConnections = 4096
	// headerTimeout bounds the TLS handshake and the headers of a request, so that a
	// client that sends them byte by byte is cut off.
	headerTimeout = 5 * time.Second
	// readTimeout bounds a whole request, its body included.
	readTimeout = 15 * time.Second
	// writeTimeout bounds an answer that is no stream. It is above every timeout inside.
	writeTimeout = 30 * time.Second
	// idleTimeout is how long a connection may wait for its next request.
	idleTimeout = 90 * time.Second
	// maxHeaderBytes bounds the headers; tokens of identity providers take up to 16 KiB.
	maxHeaderBytes = 64 << 10
	// maxBodyBytes bounds a body.
	maxBodyBytes = 1 << 20
	// maxURLBytes bounds the path and the query.
	maxURLBytes = 8 << 10
	// maxRequestsPerConnection bounds the requests under way on one HTTP/2 connection.
	maxRequestsPerConnection = 100

	// maxBuckets is how many users, and how many addresses, are told apart. The longest
	// unseen begins anew.
	maxBuckets = 10000

	// reviewTTL is how long an answer of the API server counts: the longest time for
	// which a right that was taken away still works.
	reviewTTL = 10 * time.Second
	// reviewTimeout bounds one review.
	reviewTimeout = 5 * time.Second
	// maxReviews is how many answers are kept of each kind.
	maxReviews = 20000
	// reviewsAtOnce is how many reviews one request has under way.
	reviewsAtOnce = 10
	// reviewRate and reviewBurst are the requests to the API server of this process, per
	// second and at once.
	reviewRate, reviewBurst = 200, 400
	// maxNamespaces is how many namespaces are reviewed for a user who has a right in some
	// of them only. Above it the user has to name namespaces.
	maxNamespaces = 500

	// maxPreviews is how many previews of policies are made at once, for all users: each may
	// evaluate expressions of its caller for seconds.
	maxPreviews = 4

	// maxStreams is how many streams are open at once, maxStreamsOfUser how many of one
	// user.
	maxStreams, maxStreamsOfUser = 2000, 200
	// streamInterval is how often the events are looked for, for all streams together.
	streamInterval = 250 * time.Millisecond
	// streamBatch is how many events are read at once, streamBuffer how many batches wait
	// for a slow client, streamCatchUps how many clients read what they missed at once.
	streamBatch, streamBuffer, streamCatchUps = 500, 16, 2
	// heartbeat is how often a quiet stream is written to: proxies cut off what is silent
	// for 30 s or more.
	heartbeat = 15 * time.Second
	// recheck is how often the rights of an open stream are looked at again.
	recheck = 30 * time.Second
	// streamWriteTimeout bounds each write to a client of a stream.
	streamWriteTimeout = 10 * time.Second

	// retryAfter is what callers are told while Postgres or the API server is away.
	retryAfter = 5 * time.Second

	// clustersRetry is how often TargetClusters are looked for where the kind is not
	// installed, or can't be read.
	clustersRetry = 10 * time.Second

	// connectionsOfPage is how many connections to Postgres one page of the dashboard uses at once:
	// the halves of an application are read at the same time.
	connectionsOfPage = 2

	// databaseInterval is how often the schema and the names of the namespaces are read: a
	// namespace that has its first pipeline is shown after that to those who may not see all.
	databaseInterval = 2 * time.Second
	// reloadInterval is how often the files of the certificate are read, and
	// clientCAInterval how often the CA of client certificates is.
	reloadInterval, clientCAInterval = 10 * time.Second, time.Minute
)

var (
	// userRate is how many requests each user may send; a stream is one request.
	userRate = bucket.Rate{PerSecond: 20, Burst: 60}
	// failureRate is how many tokens that are not valid each address may have reviewed by the API
	// server, and how many lines of the log it may cause without a user.
	failureRate = bucket.Rate{PerSecond: 5, Burst: 50}
)
