package browser

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"
)

// answers are the ten questions of docs/dashboard.md, by their words: what is clicked on the
// first page, and what the page then says.
var answers = map[string]struct {
	clicks []string
	says   []string
}{
	"What fails now?":            {[]string{"Failing"}, []string{"shop"}},
	"What is deployed where?":    {[]string{"shop"}, []string{"What is deployed where", "staging", "by shop-1"}},
	"Why was mine not deployed?": {[]string{"shop"}, []string{"spec.suspend of the pipeline was true", "spec.filter was false for the artifact"}},
	"Who has to approve?":        {[]string{"Queue", "Held"}, []string{"shop-prod", "waits for a person (RunRequest with action Resume)"}},
	"What runs now?":             {[]string{"Queue", "Run"}, []string{"shop-load-test", "Running"}},
	"What is before mine?":       {[]string{"Queue"}, []string{"wait for a slot"}},
	"What did this build do?":    {[]string{"wide-1"}, []string{"What was decided for each pipeline", "120 skipped"}},
	"What failed last night?":    {[]string{"shop", "shop-eu-west"}, []string{"shop-1", "Failed", "exit code 1"}},
	"Which clusters are away?":   {[]string{"Clusters"}, []string{"ap-south", "Unreachable", "create it with the kubeconfig"}},
	"Is the wave done?":          {[]string{"Images"}, []string{"wave"}},
}

func TestTenQuestionsOfPeopleOnCallAreAnsweredByTwoClicks(t *testing.T) {
	s := theStage(t)
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "dashboard.md"))
	require.NoError(t, err)
	asked := regexp.MustCompile(`(?m)^\d+\. \*\*(.+\?)\*\*`).FindAllStringSubmatch(string(page), -1)
	require.Len(t, asked, 10)
	b := s.open(t).signIn(s.reader)
	for _, question := range asked {
		t.Run(question[1], func(t *testing.T) {
			answer, known := answers[question[1]]
			require.True(t, known, "the test answers every question of the page")
			require.LessOrEqual(t, len(answer.clicks), 2)
			b := b.within(t).visit("/")
			for _, text := range answer.clicks {
				b.click(text)
			}
			for _, text := range answer.says {
				b.sees(text)
			}
		})
	}
}
