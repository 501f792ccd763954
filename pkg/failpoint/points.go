package failpoint

// Variable is the environment variable that says what breaks where.
const Variable = "PENSTOCK_FAILPOINTS"

// Name is a step of the trigger path.
type Name string

// The steps, in the order in which a trigger passes them.
const (
	PlanBeforeInsert     Name = "plan/before-insert"
	PlanBeforeCommit     Name = "plan/before-commit"
	PlanAfterCommit      Name = "plan/after-commit"
	PlanBeforeChunk      Name = "plan/before-chunk"
	PlanAfterChunk       Name = "plan/after-chunk"
	DispatchAfterClaim   Name = "dispatch/after-claim"
	SubmitBeforeCreate   Name = "submit/before-create"
	SubmitAfterCreate    Name = "submit/after-create"
	CompleteBeforeCommit Name = "complete/before-commit"
	CompleteAfterCommit  Name = "complete/after-commit"
	TrackBeforeCommit    Name = "track/before-commit"
	TrackAfterCommit     Name = "track/after-commit"
	FollowBeforeCommit   Name = "follow/before-commit"
	FollowAfterCommit    Name = "follow/after-commit"
	RequestBeforeRecord  Name = "request/before-record"
	RequestBeforeCommit  Name = "request/before-commit"
	RequestAfterCommit   Name = "request/after-commit"
	StopBeforePatch      Name = "stop/before-patch"
	ReportBeforeStatus   Name = "report/before-status"
	ReportAfterStatus    Name = "report/after-status"
	BuildBeforeCommit    Name = "build/before-commit"
	BuildAfterCommit     Name = "build/after-commit"
	BuildBeforeStatus    Name = "build/before-status"
	BuildAfterStatus     Name = "build/after-status"
	WaveBeforeCommit     Name = "wave/before-commit"
	WaveAfterCommit      Name = "wave/after-commit"
	WaveBeforeCreate     Name = "wave/before-create"
	WaveAfterCreate      Name = "wave/after-create"
	NotifyBeforeCommit   Name = "notify/before-commit"
	NotifyBeforeSend     Name = "notify/before-send"
	NotifyBeforeRecord   Name = "notify/before-record"
	HookBeforeInsert     Name = "hook/before-insert"
	HookAfterInsert      Name = "hook/after-insert"
	DeliveryAfterClaim   Name = "delivery/after-claim"
	DeliveryBeforeCreate Name = "delivery/before-create"
	DeliveryAfterCreate  Name = "delivery/after-create"
	DeliveryAfterTell    Name = "delivery/after-tell"
	DeliveryAfterCheck   Name = "delivery/after-check"
	DeliveryBeforeRecord Name = "delivery/before-record"
	DeliveryAfterRecord  Name = "delivery/after-record"
)

// Points returns every step, and whether it can return an error.
func Points() map[Name]bool {
	return map[Name]bool{
		PlanBeforeInsert:     false,
		PlanBeforeCommit:     true,
		PlanAfterCommit:      false,
		PlanBeforeChunk:      true,
		PlanAfterChunk:       false,
		DispatchAfterClaim:   false,
		SubmitBeforeCreate:   false,
		SubmitAfterCreate:    true,
		CompleteBeforeCommit: false,
		CompleteAfterCommit:  false,
		TrackBeforeCommit:    false,
		TrackAfterCommit:     false,
		FollowBeforeCommit:   true,
		FollowAfterCommit:    false,
		RequestBeforeRecord:  false,
		RequestBeforeCommit:  true,
		RequestAfterCommit:   false,
		StopBeforePatch:      false,
		ReportBeforeStatus:   false,
		ReportAfterStatus:    false,
		BuildBeforeCommit:    true,
		BuildAfterCommit:     false,
		BuildBeforeStatus:    false,
		BuildAfterStatus:     false,
		WaveBeforeCommit:     true,
		WaveAfterCommit:      false,
		WaveBeforeCreate:     false,
		WaveAfterCreate:      false,
		NotifyBeforeCommit:   true,
		NotifyBeforeSend:     false,
		NotifyBeforeRecord:   false,
		HookBeforeInsert:     false,
		HookAfterInsert:      false,
		DeliveryAfterClaim:   false,
		DeliveryBeforeCreate: false,
		DeliveryAfterCreate:  false,
		DeliveryAfterTell:    false,
		DeliveryAfterCheck:   false,
		DeliveryBeforeRecord: false,
		DeliveryAfterRecord:  false,
	}
}
