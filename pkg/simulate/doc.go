// Package simulate decides what would be triggered if a build succeeded now, by the functions that
// the controller decides with. It is given objects, and writes nothing.
package simulate
