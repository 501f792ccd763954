package env

import "net/url"

// playgroundName is what a database is marked with, in its URL, that is to be looked
// at and not to be taken for a server of somebody else's: people export it.
const playgroundName = "penstock-playground"

// PlaygroundURL marks the URL of a database of ours for people to export as
// DATABASE_URL: from there it is never taken as the server of another environment.
func PlaygroundURL(databaseURL string) string {
	marked, err := url.Parse(databaseURL)
	if err != nil {
		return databaseURL
	}
	query := marked.Query()
	query.Set("application_name", playgroundName)
	marked.RawQuery = query.Encode()
	return marked.String()
}

func isPlayground(databaseURL string) bool {
	given, err := url.Parse(databaseURL)
	return err == nil && given.Query().Get("application_name") == playgroundName
}
