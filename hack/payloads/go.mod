// What GitLab sends, as its Go client's tests have it. A module of its own, so that
// none of it reaches the controller's dependencies.
module github.com/penstock-cd/penstock/hack/payloads

go 1.26.0

require gitlab.com/gitlab-org/api/client-go v1.46.0 // indirect
