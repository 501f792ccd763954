package offer

import "github.com/penstock-cd/penstock/api/rest"

// Wave offers to let a wave of rebuilds go on that has stopped, and to give one up.
func Wave(wave rest.Wave) Offers {
	about := Subject{Namespace: wave.Namespace, BaseImage: wave.BaseImage, ID: wave.Number}
	stop := Offer{StopWave, "Stop the wave", about}
	switch wave.State {
	case "Stopped":
		return Offers{{ResumeWave, "Resume the wave", about}, stop}
	case "Running":
		return Offers{stop}
	}
	return nil
}
