package trigger_test

import (
	"testing"
	"time"
	_ "time/tzdata" // the machine may have none

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/penstock-cd/penstock/api/v1alpha1"
	"github.com/penstock-cd/penstock/pkg/trigger"
)

func allowing(schedule string, duration time.Duration, zone string) v1alpha1.Window {
	return v1alpha1.Window{Kind: v1alpha1.WindowAllow, Schedule: schedule, Duration: metav1.Duration{Duration: duration}, TimeZone: zone}
}

func denying(schedule string, duration time.Duration, zone string) v1alpha1.Window {
	window := allowing(schedule, duration, zone)
	window.Kind = v1alpha1.WindowDeny
	return window
}

func TestWhenNothingMayStartAndWhenSomethingMayAgain(t *testing.T) {
	t.Parallel()
	const hour, day = time.Hour, 24 * time.Hour
	officeHours := allowing("0 9 * * 1-5", 8*hour, "")
	for sentence, c := range map[string]struct {
		windows []v1alpha1.Window
		at      string
		opens   string // empty: open; never: closed without an end
	}{
		"without windows all is open":                           {nil, "2026-11-25T03:00:00Z", ""},
		"outside of the windows that allow it waits for one":    {[]v1alpha1.Window{officeHours}, "2026-11-25T03:00:00Z", "2026-11-25T09:00:00Z"},
		"inside it is open":                                     {[]v1alpha1.Window{officeHours}, "2026-11-25T09:00:00Z", ""},
		"at its last moment it is open":                         {[]v1alpha1.Window{officeHours}, "2026-11-25T16:59:59Z", ""},
		"from its end on it is closed":                          {[]v1alpha1.Window{officeHours}, "2026-11-25T17:00:00Z", "2026-11-26T09:00:00Z"},
		"over the weekend it waits for Monday":                  {[]v1alpha1.Window{officeHours}, "2026-11-27T18:00:00Z", "2026-11-30T09:00:00Z"},
		"a window that denies closes":                           {[]v1alpha1.Window{denying("0 22 * * *", 8*hour, "")}, "2026-11-25T23:00:00Z", "2026-11-26T06:00:00Z"},
		"Deny counts where both are open":                       {[]v1alpha1.Window{officeHours, denying("0 12 * * *", hour, "")}, "2026-11-25T12:30:00Z", "2026-11-25T13:00:00Z"},
		"what opens first while another denies does not count":  {[]v1alpha1.Window{officeHours, denying("0 8 * * *", 2*hour, "")}, "2026-11-25T08:30:00Z", "2026-11-25T10:00:00Z"},
		"windows that denies overlap are one":                   {[]v1alpha1.Window{denying("0 * * * *", 2*hour, "")}, "2026-11-25T12:30:00Z", "never"},
		"a day that does not exist never comes":                 {[]v1alpha1.Window{allowing("0 0 30 2 *", hour, "")}, "2026-11-25T12:30:00Z", "never"},
		"a schedule is told in its time zone":                   {[]v1alpha1.Window{allowing("0 9 * * *", hour, "Europe/Berlin")}, "2026-11-25T08:30:00Z", ""},
		"and outside of it too":                                 {[]v1alpha1.Window{allowing("0 9 * * *", hour, "Europe/Berlin")}, "2026-11-25T09:30:00Z", "2026-11-26T08:00:00Z"},
		"a window lasts as long when clocks go back meanwhile":  {[]v1alpha1.Window{denying("0 0 * * *", 6*hour, "Europe/Berlin")}, "2026-10-25T00:00:00Z", "2026-10-25T04:00:00Z"},
		"an opening that clocks leave out on that day is later": {[]v1alpha1.Window{allowing("30 2 * * *", hour, "Europe/Berlin")}, "2026-03-29T00:00:00Z", "2026-03-30T00:30:00Z"},
		"a descriptor is a schedule":                            {[]v1alpha1.Window{denying("@weekly", day, "")}, "2026-11-29T10:00:00Z", "2026-11-30T00:00:00Z"},
	} {
		t.Run(sentence, func(t *testing.T) {
			t.Parallel()
			windows, err := trigger.ParseWindows(c.windows)
			require.NoError(t, err)
			at, err := time.Parse(time.RFC3339, c.at)
			require.NoError(t, err)
			closed, opens := windows.Closed(at)
			require.Equal(t, c.opens != "", closed)
			switch c.opens {
			case "", "never":
				require.Zero(t, opens)
			default:
				require.Equal(t, c.opens, opens.Format(time.RFC3339))
			}
		})
	}
}

func TestWindowsThatCanNotBeUnderstoodNameTheField(t *testing.T) {
	t.Parallel()
	for want, window := range map[string]v1alpha1.Window{
		`spec.windows[1].schedule is "TZ=": must be five fields as in crontab, or @daily; the time zone belongs into timeZone`:                   allowing("TZ=", time.Hour, ""),
		`spec.windows[1].schedule is "CRON_TZ=UTC 0 0 * * *": must be five fields as in crontab, or @daily; the time zone belongs into timeZone`: allowing("CRON_TZ=UTC 0 0 * * *", time.Hour, ""),
		`spec.windows[1].schedule is "@every 1h": must be five fields as in crontab, or @daily; the time zone belongs into timeZone`:             allowing("@every 1h", time.Hour, ""),
		`spec.windows[1].schedule is "0 25 * * *": end of range (25) above maximum (23): 25`:                                                     allowing("0 25 * * *", time.Hour, ""),
		`spec.windows[1].timeZone is "Europe/Bielefeld": must be a name of the IANA database, such as Europe/Berlin`:                             allowing("0 0 * * *", time.Hour, "Europe/Bielefeld"),
		`spec.windows[1].timeZone is "Local": must be a name of the IANA database, such as Europe/Berlin`:                                        allowing("0 0 * * *", time.Hour, "Local"),
		`spec.windows[1].duration is 0s: must be positive`:                                                                                       allowing("0 0 * * *", 0, ""),
	} {
		_, err := trigger.ParseWindows([]v1alpha1.Window{allowing("0 0 * * *", time.Hour, ""), window})
		require.EqualError(t, err, want)
	}
}

func FuzzWindows(f *testing.F) {
	for _, seed := range []string{"0 9 * * 1-5", "@daily", "TZ=", "*/0 * * * *", "0 0 29 2 *", "? ? ? ? ?"} {
		f.Add(seed, "Europe/Berlin", int64(3600))
	}
	f.Fuzz(func(t *testing.T, schedule, zone string, seconds int64) {
		spec := denying(schedule, time.Duration(seconds%(31*24*3600))*time.Second, zone)
		windows, err := trigger.ParseWindows([]v1alpha1.Window{spec})
		if err != nil {
			return
		}
		at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
		closed, opens := windows.Closed(at)
		if closed && !opens.IsZero() {
			again, _ := windows.Closed(opens)
			require.False(t, again, "it says that it opens at %s", opens)
			require.True(t, opens.After(at))
		}
	})
}
