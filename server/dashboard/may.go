package dashboard

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/penstock-cd/penstock/server/dashboard/offer"
	"github.com/penstock-cd/penstock/server/identity"
	"github.com/penstock-cd/penstock/server/rights"
)

// Rights reviews what users may do. *rights.Reviewer has it.
type Rights interface {
	// Among returns which of the rights a user has, in their order.
	Among(ctx context.Context, user identity.User, needs ...rights.Need) ([]bool, error)
	// Require returns a *rights.RefusedError where the user lacks one.
	Require(ctx context.Context, user identity.User, needs ...rights.Need) error
}

// maxWide is how many rights on all objects of a namespace are reviewed for one page. Only the queue
// has more than one namespace. Actions beyond that are not offered on the page.
const maxWide = 40

// maxNamed is how many rights on single objects are reviewed for one page, for users who do not
// have them on all objects of the namespace. Actions beyond that are not offered on the page.
const maxNamed = 40

// require refuses who lacks a right, and everybody who has not signed in.
func (v *visit) require(needs ...rights.Need) error {
	if v.user.Name == anonymous.Name {
		return &Problem{Status: http.StatusUnauthorized, Detail: "Sign in to do this."}
	}
	var refused *rights.RefusedError
	err := v.config.Rights.Require(v.r.Context(), v.user, needs...)
	if errors.As(err, &refused) {
		return &Problem{Status: http.StatusForbidden, Detail: refused.Error()}
	}
	return err
}

// offered are the offers that the user has the rights for. Where nobody can tell, it is none.
func (v *visit) offered(all offer.Offers) offer.Offers {
	if len(all) == 0 || v.user.Name == anonymous.Name {
		return nil
	}
	has := map[rights.Need]bool{}
	everywhere := inNamespace(all.Needs())
	if err := v.review(has, everywhere[:min(len(everywhere), maxWide)]); err != nil {
		return nil
	}
	possible := all.Allowed(func(need rights.Need) bool { return need.Name != "" || has[need] })
	named := slices.DeleteFunc(possible.Needs(), func(need rights.Need) bool { return need.Name == "" || has[wide(need)] })
	if err := v.review(has, named[:min(len(named), maxNamed)]); err != nil {
		return nil
	}
	return possible.Allowed(func(need rights.Need) bool { return has[need] || has[wide(need)] })
}

// inNamespace are the same rights on all objects of their namespace.
func inNamespace(needs []rights.Need) (all []rights.Need) {
	for _, need := range needs {
		if need = wide(need); !slices.Contains(all, need) {
			all = append(all, need)
		}
	}
	return all
}

func wide(need rights.Need) rights.Need {
	need.Name = ""
	return need
}

func (v *visit) review(has map[rights.Need]bool, needs []rights.Need) error {
	allowed, err := v.config.Rights.Among(v.r.Context(), v.user, needs...)
	if err != nil {
		v.config.Log.Info("rights not reviewed, so that the page offers no actions", "user", v.user.Name, "reason", err.Error())
		return err
	}
	for i, need := range needs {
		has[need] = allowed[i]
	}
	return nil
}
