# Project tokens: their own project, each direction with its own scope.
package regate.project_token_test

import data.regate.fixtures

machine(pull, push) := fixtures.token_with("project", null, {"project_id": "p1", "scope_pull": pull, "scope_push": push})

test_scope_pull_reads if {
	every path in ["/api/v1/projects/p1", "/api/v1/projects/p1/builds/7"] {
		fixtures.allows(machine(true, false), "GET", path, "project_token.read")
	}
}

# Found in the original: scope_pull was stored and never read.
test_without_scope_pull_nothing_is_read if {
	every value in [false, null, "true"] {
		fixtures.denies(machine(value, true), "GET", "/api/v1/projects/p1/builds", "project_token.read_needs_scope_pull")
	}
}

test_scope_push_writes_and_does_not_read if {
	fixtures.allows(machine(false, true), "POST", "/api/v1/projects/p1/builds", "project_token.write")
	fixtures.denies(machine(false, true), "GET", "/api/v1/projects/p1/builds", "project_token.read_needs_scope_pull")
}

test_without_scope_push_nothing_is_written if {
	fixtures.denies(machine(true, false), "POST", "/api/v1/projects/p1/builds", "project_token.write_needs_scope_push")
	fixtures.denies(machine(true, false), "GET", "/api/v1/projects/p1/builds/7/restart", "project_token.write_needs_scope_push")
}

test_another_project_is_not_reached if {
	every path in ["/api/v1/projects/p2", "/api/v1/projects/P1", "/api/v1/projects/open/builds"] {
		fixtures.denies(machine(true, true), "GET", path, "project_token.other_project")
		fixtures.denies(machine(true, true), "POST", path, "project_token.other_project")
	}
}

test_a_token_without_project_reaches_none if {
	every id in [null, "", false] {
		fixtures.denies(fixtures.token_with("project", "olga", {"project_id": id}), "GET", "/api/v1/projects/p1", "project_token.other_project")
	}
}

test_nothing_else_is_reached if {
	every path in ["/", "/api/v1/projects", "/mcp", "/mcp/projects/p1", "/api/v1/mcp/projects/p1/builds", "/api/v1/admin", "/api/v1/mcp/tokens"] {
		fixtures.denies(machine(true, true), "GET", path, "project_token.outside_project")
	}
}

test_reserved_sections_are_never_reached if {
	every section in ["secrets", "tokens", "Vault"] {
		fixtures.denies(machine(true, true), "GET", sprintf("/api/v1/projects/p1/%s", [section]), "project_token.reserved_section")
		fixtures.denies(machine(true, true), "POST", sprintf("/api/v1/projects/p1/%s", [section]), "project_token.reserved_section")
	}
}

test_the_project_is_edited_but_not_removed if {
	fixtures.allows(machine(true, true), "PATCH", "/api/v1/projects/p1", "project_token.write")
	fixtures.denies(machine(true, true), "DELETE", "/api/v1/projects/p1", "project_token.may_not_remove_project")
}

test_its_user_need_not_be_a_collaborator if {
	fixtures.allows(fixtures.token_with("project", "eve", {"project_id": "p1"}), "GET", "/api/v1/projects/p1", "project_token.read")
}

test_its_user_must_not_be_disabled if {
	fixtures.denies(fixtures.token_with("project", "gone", {"project_id": "p1"}), "GET", "/api/v1/projects/p1", "user.disabled")
}

test_a_list_of_projects_confines_it if {
	fixtures.denies(object.union(machine(true, true), {"projects": {}}), "POST", "/api/v1/projects/p1/builds", "project_token.project_not_listed")
	fixtures.denies(object.union(machine(true, true), {"projects": {}}), "GET", "/api/v1/projects/p1", "project_token.project_not_listed")
	fixtures.denies(object.union(machine(true, true), {"projects": {"p1": fixtures.now}}), "GET", "/api/v1/projects/p1", "project_token.project_expired")
	fixtures.allows(object.union(machine(true, true), {"projects": {"p1": null}}), "GET", "/api/v1/projects/p1", "project_token.read")
}
