// Package rest is the JSON that `penstock server` answers with. It has no logic: the
// server fills these types, and clients decode them.
//
// Times are RFC 3339 in UTC, and absent where the thing has not happened. Lists are never
// null. A field that is empty is absent, unless it is a number or a list.
package rest
