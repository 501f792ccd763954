package offer

import "github.com/penstock-cd/penstock/api/rest"

// Build offers to end a build, or to build the same again once it has ended.
func Build(namespace string, build rest.Build) Offers {
	about := Subject{Namespace: namespace, Build: build.Name}
	switch {
	case build.DeletedAt != nil:
		return nil
	case build.Phase == "" || build.Phase == "Pending" || build.Phase == "Running":
		return Offers{{CancelBuild, "Cancel the build", about}}
	}
	return Offers{{RetryBuild, "Build again", about}}
}
