// Package world gives a test a corner of its own on the real parts, a namespace, and
// controllers, each a process. It ends with the oracle.
//
// By default worlds share an Installation, as namespaces of a cluster do: one database, and
// one controller for all of them. A narrow world has a database and controllers of its own,
// which see nothing else.
//
//	w := world.New(t, world.Options{Environment: local, Installation: &installation})
//	w.Create(given.CiPipeline(given.CI), given.CdPipeline("web"), given.CiBuild("b1"))
//	w.Start()
//	w.Succeed("b1")
//	w.RowsAre(1, "Succeeded")
//	w.Judge()
package world
