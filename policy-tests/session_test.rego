# Sessions: rights by the collaborator's role, public projects, administration by the user's role.
package regate.session_test

import data.regate.fixtures

person(user_id) := fixtures.token("session", user_id)

test_every_collaborator_reads if {
	every user in ["vera", "dev", "adam", "olga"] {
		fixtures.allows(person(user), "GET", "/api/v1/projects/p1/builds", "session.project_read")
	}
}

test_those_with_a_writing_role_write if {
	every user in ["dev", "adam", "olga"] {
		fixtures.allows(person(user), "POST", "/api/v1/projects/p1/builds", "session.project_write")
		fixtures.allows(person(user), "GET", "/api/v1/projects/p1/builds/7/restart", "session.project_write")
	}
}

test_a_viewer_does_not_write if {
	fixtures.denies(person("vera"), "POST", "/api/v1/projects/p1/builds", "session.role_may_not_write")
	fixtures.denies(person("vera"), "GET", "/api/v1/projects/p1/builds/7/restart", "session.role_may_not_write")
}

test_others_do_not_read if fixtures.denies(person("eve"), "GET", "/api/v1/projects/p1/builds", "session.not_a_collaborator")

test_an_admin_of_the_organisation_has_no_role_on_projects if fixtures.denies(person("root"), "GET", "/api/v1/projects/p2", "session.not_a_collaborator")

test_those_who_manage_reach_what_is_set_apart if {
	every user in ["adam", "olga"] {
		every section in ["secrets", "collaborators", "cronjobs"] {
			fixtures.allows(person(user), "GET", sprintf("/api/v1/projects/p1/%s", [section]), "session.project_manage")
			fixtures.allows(person(user), "POST", sprintf("/api/v1/projects/p1/%s", [section]), "session.project_manage")
		}
	}
}

test_others_do_not_reach_it if {
	every user in ["vera", "dev"] {
		every section in ["secrets", "collaborators", "cronjobs", "Tokens"] {
			fixtures.denies(person(user), "GET", sprintf("/api/v1/projects/p1/%s", [section]), "session.section_needs_administrator")
		}
	}
}

test_the_owner_removes_the_project if fixtures.allows(person("olga"), "DELETE", "/api/v1/projects/p1", "session.project_remove")

test_nobody_else_removes_it if {
	every user in ["dev", "adam"] {
		fixtures.denies(person(user), "DELETE", "/api/v1/projects/p1", "session.removal_needs_owner")
	}
	fixtures.denies(person("vera"), "DELETE", "/api/v1/projects/p1", "session.role_may_not_write")
}

test_an_overridden_method_removes_nothing if {
	question := fixtures.input_of(person("dev"), "POST", "/api/v1/projects/p1", {"x-method-override": "DELETE"})
	fixtures.denies_input(question, "session.removal_needs_owner")
	fixtures.allows(person("dev"), "POST", "/api/v1/projects/p1", "session.project_write")
}

test_anybody_reads_a_public_project if {
	fixtures.allows(person("vera"), "GET", "/api/v1/projects/open", "session.public_read")
	fixtures.allows(person("vera"), "GET", "/api/v1/projects/open/builds", "session.public_read")
}

test_reading_it_is_all if {
	fixtures.denies(person("vera"), "POST", "/api/v1/projects/open/builds", "session.not_a_collaborator")
	fixtures.denies(person("vera"), "GET", "/api/v1/projects/open/builds/7/restart", "session.not_a_collaborator")
	fixtures.denies(person("vera"), "GET", "/api/v1/projects/open/secrets", "session.not_a_collaborator")
	fixtures.denies(person("vera"), "GET", "/api/v1/projects/open/cronjobs", "session.not_a_collaborator")
}

test_the_list_is_read if fixtures.allows(person("eve"), "GET", "/api/v1/projects", "session.project_list")

test_users_create_projects if {
	every user in ["dev", "root"] {
		fixtures.allows(person(user), "POST", "/api/v1/projects", "session.project_create")
	}
}

test_a_viewer_of_the_organisation_does_not if fixtures.denies(person("audit"), "POST", "/api/v1/projects", "session.role_may_not_create_project")

test_nothing_else_is_done_to_the_list if {
	fixtures.denies(person("root"), "DELETE", "/api/v1/projects", "session.list_is_read_or_create")
	question := fixtures.input_of(person("root"), "POST", "/api/v1/projects", {"x-http-method": "DELETE"})
	fixtures.denies_input(question, "session.list_is_read_or_create")
}

test_an_admin_administers if {
	every method in ["GET", "POST", "DELETE"] {
		fixtures.allows(person("root"), method, "/api/v1/admin/users", "session.administration")
	}
}

test_a_viewer_of_the_organisation_looks_at_it if {
	fixtures.allows(person("audit"), "GET", "/api/v1/admin", "session.administration_read")
	fixtures.allows(person("audit"), "GET", "/api/v1/admin/users", "session.administration_read")
}

test_and_changes_nothing if {
	fixtures.denies(person("audit"), "POST", "/api/v1/admin/users", "session.administration_is_read_only")
	fixtures.denies(person("audit"), "GET", "/api/v1/admin/clusters/1/restart", "session.administration_is_read_only")
}

test_a_user_does_not_administer if {
	every user in ["dev", "olga"] {
		fixtures.denies(person(user), "GET", "/api/v1/admin/users", "session.administration_needs_admin")
	}
}

# Found in the original: the rule for viewers had no path at all.
test_a_viewer_reads_nothing_that_is_no_area if {
	every path in ["/", "/api", "/api/v1", "/api/v1/secrets", "/api/v1/administration", "/api/v2/admin", "/v1/tokens", "/api/v1/mcp", "/api/v1/Admin", "/x/v1/admin/users", "/api/x/admin/users"] {
		fixtures.denies(person("audit"), "GET", path, "session.no_such_area")
	}
}

test_not_even_an_admin_does if {
	every path in ["/api/v1/users", "/x/v1/admin/users", "/api/x/admin/users"] {
		fixtures.denies(person("root"), "GET", path, "session.no_such_area")
	}
}

test_mcp_is_reached if {
	every path in ["/mcp", "/mcp/github", "/api/v1/mcp/builds"] {
		fixtures.allows(person("vera"), "POST", path, "session.mcp")
	}
}

test_tokens_are_managed if {
	every method in ["GET", "POST", "DELETE"] {
		fixtures.allows(person("dev"), method, "/api/v1/mcp/tokens", "session.mcp")
	}
}

test_projects_on_mcp_paths_go_by_role if {
	fixtures.allows(person("vera"), "GET", "/mcp/projects/p1/builds", "session.mcp_project_read")
	fixtures.allows(person("dev"), "POST", "/api/v1/mcp/projects/p1/trigger", "session.mcp_project_write")
	fixtures.denies(person("vera"), "POST", "/api/v1/mcp/projects/p1/trigger", "session.role_may_not_write")
	fixtures.denies(person("eve"), "GET", "/mcp/projects/p1/builds", "session.not_a_collaborator")
	fixtures.denies(person("vera"), "GET", "/mcp/projects/open/builds", "session.not_a_collaborator")
}

test_what_is_set_apart_is_not_on_mcp_paths if {
	fixtures.denies(person("olga"), "GET", "/mcp/projects/p1/secrets", "session.reserved_on_mcp_path")
	fixtures.denies(person("olga"), "POST", "/mcp/projects/p1/secrets", "session.reserved_on_mcp_path")
	fixtures.denies(person("dev"), "GET", "/mcp/projects/p1/cronjobs", "session.section_needs_administrator")
	fixtures.allows(person("adam"), "GET", "/mcp/projects/p1/cronjobs", "session.mcp_project_read")
}

test_removal_on_mcp_paths_is_the_owners if {
	fixtures.allows(person("olga"), "DELETE", "/api/v1/mcp/projects/p1", "session.mcp_project_remove")
	fixtures.denies(person("adam"), "DELETE", "/api/v1/mcp/projects/p1", "session.removal_needs_owner")
}

test_an_unknown_user_has_no_rights if {
	every path in ["/", "/mcp", "/api/v1/projects", "/api/v1/projects/open", "/api/v1/mcp/tokens", "/api/v1/admin"] {
		fixtures.denies(person("nobody"), "GET", path, "session.unknown_user")
	}
}

# The token's own fields are not the user's: only what the data says about the user counts.
test_a_claimed_role_counts_for_nothing if {
	caller := fixtures.token_with("session", "dev", {"role": "admin", "scope_push": true, "claims": {"role": "admin"}})
	fixtures.denies(caller, "GET", "/api/v1/admin", "session.administration_needs_admin")
}

test_an_unusual_read_is_no_write if fixtures.allows(person("dev"), "GET", "/api/v1/projects/cache/clear", "session.project_read")

test_nothing_that_is_no_area_is_written if {
	every path in ["/api/v2/projects/p1/builds", "/x/y/z/p1/builds", "/api/v1/Projects/p1/builds"] {
		fixtures.denies(person("olga"), "POST", path, "session.no_such_area")
	}
}
