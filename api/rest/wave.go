package rest

import "time"

// WaveList is waves of base images, by namespace and name, the newest of each first.
type WaveList struct {
	Page

	Items []Wave `json:"items" nullable:"false"`
}

// Wave is one wave of rebuilds: what is built on a base image is built anew for one digest.
type Wave struct {
	Namespace string     `json:"namespace" doc:"Of the BaseImage."`
	BaseImage string     `json:"baseImage" doc:"Name of the BaseImage."`
	Number    int64      `json:"number" doc:"Counts the waves of a BaseImage, from 1."`
	Image     string     `json:"image" doc:"Repository and tag, as the BaseImage has them now."`
	Digest    string     `json:"digest" doc:"What is built upon."`
	State     string     `json:"state" enum:"Running,Stopped,Succeeded,Failed,Cancelled" doc:"Stopped: more builds have failed than rebuild.maxFailures allows, and a person decides."`
	Message   string     `json:"message,omitempty" doc:"Why it is in that state."`
	Total     int64      `json:"total" doc:"How many CiPipelines it is for. The six figures count those in all namespaces."`
	Pending   int64      `json:"pending" doc:"Builds that have not begun."`
	Running   int64      `json:"running" doc:"Builds that have begun."`
	Succeeded int64      `json:"succeeded"`
	Failed    int64      `json:"failed"`
	Skipped   int64      `json:"skipped" doc:"CiPipelines that are not built in this wave."`
	StartedAt time.Time  `json:"startedAt"`
	EndedAt   *time.Time `json:"endedAt,omitempty"`
}

// WaveDetail is a wave and a page of its items.
type WaveDetail struct {
	Page

	Wave   Wave       `json:"wave"`
	Items  []WaveItem `json:"items" nullable:"false" doc:"By namespace and CiPipeline."`
	Hidden int64      `json:"hidden" doc:"How many items are in namespaces in which the caller may not list cibuilds."`
}

// WaveItem is one CiPipeline in a wave.
type WaveItem struct {
	Namespace string     `json:"namespace"`
	Pipeline  string     `json:"pipeline" doc:"Name of the CiPipeline."`
	Build     string     `json:"build" doc:"Name of its CiBuild in this wave, whether or not that exists yet."`
	State     string     `json:"state" enum:"Deferred,Pending,Building,Succeeded,Failed,Skipped" doc:"Deferred: another of its base images is rebuilt first. Skipped: it has no build in this wave."`
	Message   string     `json:"message,omitempty" doc:"Why it is in that state."`
	EndedAt   *time.Time `json:"endedAt,omitempty"`
}
