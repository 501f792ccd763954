// Package fault stands between Penstock and its real parts, Postgres and the API
// server, and breaks what passes. It observes the traffic and changes nothing else.
//
// Each proxy passes everything on until it is told otherwise. Its faults are those
// that a network, a server or a load balancer in between can have, so that whatever
// a client does about them it must also do in production.
package fault
