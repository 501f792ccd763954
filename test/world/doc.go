// Package world gives a test a corner of its own on the real parts: a namespace, a
// database, and controllers, each a process, that see nothing else. It ends with the
// oracle.
//
//	w := world.New(t, world.Options{Environment: local})
//	w.Create(given.CiPipeline(given.CI), given.CdPipeline("web"), given.CiBuild("b1"))
//	w.Start()
//	w.Succeed("b1")
//	w.RowsAre(1, "Succeeded")
//	w.Judge()
package world
