package dashboard

import "net/url"

// pick returns the parameters of these names that the page was asked for with, but for empty
// ones.
func (v *visit) pick(names ...string) url.Values {
	asked, picked := v.r.URL.Query(), url.Values{}
	for _, name := range names {
		if value := asked.Get(name); value != "" {
			picked.Set(name, value)
		}
	}
	return picked
}
