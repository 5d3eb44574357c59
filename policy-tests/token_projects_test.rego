# A token's list of projects, each with its own expiry.
package regate.token_projects_test

import data.regate.fixtures

expiring(value) := fixtures.token_with("mcp", "dev", {"projects": {"p1": value}})

listing(value) := fixtures.token_with("mcp", "dev", {"projects": value})

path := "/api/v1/mcp/projects/p1/builds"

test_null_is_no_limit if fixtures.allows(listing(null), "GET", path, "mcp_token.project_read")

# Found in the original: an empty list meant all projects.
test_an_empty_list_allows_none if fixtures.denies(listing({}), "GET", path, "mcp_token.project_not_listed")

test_an_entry_without_expiry_is_live if fixtures.allows(expiring(null), "GET", path, "mcp_token.project_read")

test_before_its_expiry_it_is_live if fixtures.allows(expiring(fixtures.now + 1), "GET", path, "mcp_token.project_read")

test_at_its_expiry_it_has_expired if fixtures.denies(expiring(fixtures.now), "GET", path, "mcp_token.project_expired")

test_after_its_expiry_it_has_expired if fixtures.denies(expiring(fixtures.now - 1), "GET", path, "mcp_token.project_expired")

# In Rego a number is less than any text: without a check of the type, a text would never expire.
test_an_expiry_that_cannot_be_read_has_expired if {
	every value in ["2099-01-01T00:00:00Z", "", "9999999999", false, true, [], {}, {"at": 9999999999}] {
		fixtures.denies(expiring(value), "GET", path, "mcp_token.project_expired")
	}
}

test_a_list_that_is_no_object_allows_none if {
	every value in [["p1"], "p1", true, false, 1] {
		fixtures.denies(listing(value), "GET", path, "mcp_token.project_not_listed")
	}
}

test_ids_are_compared_exactly if {
	every value in [{"P1": null}, {"p1 ": null}, {"p": null}, {"": null}] {
		fixtures.denies(listing(value), "GET", path, "mcp_token.project_not_listed")
	}
}

# Found in the original: the list was checked, and membership was not.
test_a_list_is_not_membership if {
	caller := fixtures.token_with("mcp", "eve", {"projects": {"p1": null}})
	fixtures.denies(caller, "GET", path, "mcp_token.not_a_collaborator")
}
