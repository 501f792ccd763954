package wave_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/penstock-cd/penstock/pkg/wave"
	"github.com/penstock-cd/penstock/test/given"
)

func TestAWaveBeginsWithEveryPipelineThatIsBuiltOnTheImage(t *testing.T) {
	t.Parallel()
	for sentence, c := range map[string]struct {
		bases bases
		apps  apps
		want  map[string]wave.State
	}{
		"each is to be built, and what is built on another image is not": {
			bases{base("a"), base("b")}, apps{app("x", on("a")), app("y", on("a")), app("z", on("b"))},
			map[string]wave.State{"x": wave.Pending, "y": wave.Pending},
		},
		"one that is suspended is skipped": {
			bases{base("a")}, apps{app("x", on("a"), suspendedPipeline)}, map[string]wave.State{"x": wave.Skipped},
		},
		"one whose builds run elsewhere is skipped": {
			bases{base("a")}, apps{app("x", on("a"), external)}, map[string]wave.State{"x": wave.Skipped},
		},
		"one of another namespace is built where the image allows that": {
			bases{base("a", given.AllowedIn("shop"))}, apps{app("x", in("shop"), onIn(given.Namespace, "a")), app("y", in("web"), onIn(given.Namespace, "a"))},
			map[string]wave.State{"x": wave.Pending},
		},
		"one that builds the image is skipped": {
			bases{built("a", "x")}, apps{app("x", on("a")), app("y", on("a"))}, map[string]wave.State{"x": wave.Skipped, "y": wave.Pending},
		},
		"one in a longer ring is skipped": {
			bases{built("a", "y"), built("b", "x")}, apps{app("x", on("a")), app("y", on("b"))}, map[string]wave.State{"x": wave.Skipped},
		},
		"one that is in a ring which the image is not in is built, and waits for nothing of the ring": {
			bases{base("a"), built("b", "x")}, apps{app("x", on("a", "b"))}, map[string]wave.State{"x": wave.Pending},
		},
		"one in a longer ring which the image is not in is built as well": {
			bases{base("a"), built("b", "y"), built("c", "x")}, apps{app("x", on("a", "b")), app("y", on("c"))}, map[string]wave.State{"x": wave.Pending},
		},
		"one that is built on what the wave changes as well is deferred": {
			bases{base("a"), built("b", "x")}, apps{app("x", on("a")), app("y", on("a", "b"))},
			map[string]wave.State{"x": wave.Pending, "y": wave.Deferred},
		},
		"one that is built on an image which may have changed at the same time is deferred": {
			bases{base("a"), base("b")}, apps{app("x", on("a", "b"))}, map[string]wave.State{"x": wave.Deferred},
		},
		"one of which the other image may not be used is built": {
			bases{base("a", given.AllowedIn("shop")), base("b")}, apps{app("x", in("shop"), onIn(given.Namespace, "a"), onIn(given.Namespace, "b"))},
			map[string]wave.State{"x": wave.Pending},
		},
		"nothing is built on it": {bases{base("a")}, apps{app("x")}, map[string]wave.State{}},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			items := wave.Begin(wave.NewGraph(c.bases, c.apps), key("a"), "image", 7)
			require.Equal(t, c.want, states(items))
			for _, item := range items {
				require.Equal(t, string(given.UID(item.Pipeline.Name)), item.PipelineUID)
				require.Equal(t, wave.BuildName(item.Pipeline.Name, item.PipelineUID, "image", 7), item.BuildName)
				require.Equal(t, item.State != wave.Pending, item.Message != "", "a reason is told of what does not begin")
			}
		})
	}
}

func TestASkippedPipelineOfARingSaysWhichRing(t *testing.T) {
	t.Parallel()
	items := wave.Begin(wave.NewGraph(bases{built("a", "x")}, apps{app("x", on("a"))}), key("a"), "image", 1)
	require.Equal(t, "it builds what it is built on: BaseImage a, CiPipeline x, BaseImage a", items[0].Message)
}

func TestTheStatesThatAreEnds(t *testing.T) {
	t.Parallel()
	for state, want := range map[wave.State]bool{
		wave.Deferred: false, wave.Pending: false, wave.Building: false, wave.Succeeded: true, wave.Failed: true, wave.Skipped: true,
	} {
		require.Equal(t, want, state.HasEnded(), state)
	}
}

// The name is what makes a second creation of the same build fail, so it must never change
// between versions.
func TestBuildNamesAreTheSameInEveryVersion(t *testing.T) {
	t.Parallel()
	require.Equal(t, "shop-w12-364030c9ad", wave.BuildName("shop", "pipeline", "image", 12))
}

func TestBuildNamesAreValidAndDifferByImageNumberAndPipeline(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 253)
	seen := map[string]bool{}
	for place, pipeline := range []string{"shop", "shop-w1", "3scale", "web.example.com", long, strings.Repeat("a", 238) + ".b", strings.Repeat("a-", 120) + "b"} {
		for _, uid := range []string{fmt.Sprint("p", place), fmt.Sprint("q", place)} {
			for _, image := range []string{"i1", "i2"} {
				for _, number := range []int64{1, 2, 12, 1 << 62} {
					name := wave.BuildName(pipeline, uid, image, number)
					require.Empty(t, validation.IsDNS1123Subdomain(name), name)
					require.False(t, seen[name], name)
					seen[name] = true
				}
			}
		}
	}
}

func FuzzBuildName(f *testing.F) {
	f.Add("shop", "p1", "p2", int64(1), int64(2))
	f.Add(strings.Repeat("a", 240)+".b", "p", "p", int64(1), int64(11))
	f.Fuzz(func(t *testing.T, pipeline, one, other string, number, next int64) {
		if len(validation.IsDNS1123Subdomain(pipeline)) > 0 || number < 1 || next < 1 {
			t.Skip()
		}
		name := wave.BuildName(pipeline, one, "image", number)
		if problems := validation.IsDNS1123Subdomain(name); len(problems) > 0 {
			t.Fatalf("%q: %v", name, problems)
		}
		if name != wave.BuildName(pipeline, one, "image", number) {
			t.Fatal("not a pure function")
		}
		if again := wave.BuildName(pipeline, other, "image", next); (one != other || number != next) && again == name {
			t.Fatalf("%q twice", name)
		}
	})
}
