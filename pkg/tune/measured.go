package tune

// Measured is what the advice is computed from, and what was seen between two looks.
type Measured struct {
	Inputs Inputs `json:"inputs"`
	Now    Now    `json:"now"`
}

// Learn returns the inputs with what metrics say at two moments: connections in use are no free
// ones any more, and the latency, the memory and the cores are as measured, where they are.
func (in Inputs) Learn(before, after Snapshot) Inputs {
	if in.FreeConnections >= 0 {
		in.FreeConnections = max(in.FreeConnections-int(after.Connections), 0)
	}
	latency := after.Latency(before)
	if latency == 0 {
		latency = after.Latency(Snapshot{})
	}
	if latency > 0 {
		in.Latency = latency
	}
	if after.MemoryLimit > 0 {
		in.FreeMemory = max(int64(after.MemoryLimit-after.Memory), 1)
	}
	if after.Cores > 0 {
		in.Cores = after.Cores
	}
	return in
}
