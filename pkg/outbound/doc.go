// Package outbound is the only way from Penstock to hosts that people name, such as
// receivers of notifications and registries. It connects to no address inside the network
// that an administrator has not allowed, bounds time and size, and keeps what is secret in a
// URL out of errors.
//
// The kinds of addresses that are refused are those of the IANA special-purpose registries
// (RFC 6890): loopback, link-local with the metadata services of clouds, private, shared, and
// reserved ones. An address is judged after its name was resolved, by the connection itself,
// so that a name whose answer changes between two lookups reaches nothing that it should not.
package outbound
