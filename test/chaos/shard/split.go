package main

import (
	"cmp"
	"slices"
)

// costs are about how many seconds a test takes at full length on two cores. Only the
// balance of the shards depends on them: what is not listed takes defaultCost.
var costs = map[string]int{
	"TestKillsAtRandomLoseAndDoubleNothing":                                 600,
	"TestAnOlderBuildNeverReplacesANewerOneAtRandom":                        400,
	"TestAKillAtAnyStepLosesAndDoublesNothing":                              330,
	"TestAReplicaThatStandsByTakesOverFromALeaderThatDied":                  324,
	"TestALeaderThatRestartsInItsPodTakesItsOwnBackAtOnce":                  269,
	"TestAKillAtAnyStepOfARequestCarriesItOutOnceAndNeverHalf":              240,
	"TestAClientThatVanishesInsideATransactionHoldsUpNobody":                240,
	"TestPostgresStoppedAtOnceUnderLoadLosesNothing":                        200,
	"TestStartingAndStoppingAtAnyMomentEndsCleanlyAndLosesNothing":          180,
	"TestAStallOfPostgresBlocksNothingForEver":                              150,
	"TestAKillAtAnyStepOfASupersessionSupersedesOnce":                       150,
	"TestAKillAtAnyStepOfAStagesEndFollowsItOnce":                           150,
	"TestAnAPIServerWithThirtyPercentErrorsLosesAndDoublesNothing":          138,
	"TestALostReplyToACommitLosesAndDoublesNothing":                         134,
	"TestSIGTERMLetsWhatIsInFlightFinishAndClaimsNothingMore":               134,
	"TestSIGTERMReleasesWhatDoesNotFinishWithinTheGracePeriod":              132,
	"TestALeaderThatWasStoppedAndGoesOnWritesNothing":                       120,
	"TestAQueueOfFiftyThousandIsClaimedQuicklyAndKeptOutOfMemory":           120,
	"TestAKillAtAnyStepOfAWaveBuildsEverythingOnce":                         180,
	"TestKillsAtRandomInWavesBuildEverythingOnce":                           300,
	"TestABuildWithFiftyChildrenTriggersEachOnceHoweverOftenItIsReconciled": 104,
	"TestTwoLeadersShareTheQueueAndDoubleNothing":                           97,
	"TestAWorkflowThatRunsWhileTheDatabaseForgetsItIsAdopted":               94,
	"TestWatchEventsThatAreDroppedRepeatedOrReorderedChangeNoEnd":           90,
	"TestTwoHundredBuildsAtOnceStayWithinTheirLimits":                       80,
	"TestANamespaceDeletedWhileNoControllerRunsGoesWithTheNextOne":          68,
	"TestACacheThatNeverShowsNewWorkflowsMakesNoneTwice":                    61,
	"TestABuildOfThreeIsTriggeredWithinTwoSecondsBehindOneOfFiveThousand":   56,
}

// defaultCost is that of a test that is not listed, in seconds.
const defaultCost = 30

func cost(test string) int { return cmp.Or(costs[test], defaultCost) }

// split shares the tests out: the dearest first, each to the shard that has the least so
// far. Each test is in one shard, and the same tests are always split in the same way.
func split(tests []string, shards int) [][]string {
	ordered := slices.SortedFunc(slices.Values(tests), func(a, b string) int {
		return cmp.Or(cmp.Compare(cost(b), cost(a)), cmp.Compare(a, b))
	})
	parts, sums := make([][]string, shards), make([]int, shards)
	for _, test := range ordered {
		least := slices.Index(sums, slices.Min(sums))
		parts[least] = append(parts[least], test)
		sums[least] += cost(test)
	}
	return parts
}
