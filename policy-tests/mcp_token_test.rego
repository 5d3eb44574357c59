# MCP tokens: MCP paths and nothing else, never more than the user, triggers only with the right to.
package regate.mcp_token_test

import data.regate.fixtures

agent(user_id) := fixtures.token("mcp", user_id)

trigger(user_id) := fixtures.token_with("mcp", user_id, {"allow_trigger": true})

test_mcp_paths_are_reached if {
	every path in ["/mcp", "/mcp/github", "/mcp/projects", "/api/v1/mcp/builds", "/api/v1/mcp/projects"] {
		fixtures.allows(agent("dev"), "GET", path, "mcp_token.mcp")
	}
}

test_a_message_is_not_a_trigger if {
	every path in ["/mcp", "/mcp/github", "/mcp/messages/1"] {
		fixtures.allows(agent("dev"), "POST", path, "mcp_token.mcp")
	}
}

test_ending_the_mcp_session_is_not_a_trigger if fixtures.allows(agent("dev"), "DELETE", "/mcp", "mcp_token.mcp")

test_nothing_else_is_reached if {
	every path in ["/", "/api", "/api/v1/mcp", "/api/v1", "/mcpx", "/mcp2/x", "/MCP", "/Mcp/x", "/x/mcp", "/api/v1/MCP/x", "/api/v2/mcp/x", "/api/v1/admin", "/api/v1/projects", "/api/v1/projects/p1", "/api/v1/projects/p1/builds", "/v1/tokens", "/x/v1/mcp/projects/p1/builds", "/api/x/mcp/projects/p1/builds", "/api/v1/x/projects/p1/builds", "/x/v1/mcp/tokens"] {
		fixtures.denies(trigger("dev"), "GET", path, "mcp_token.outside_mcp")
	}
}

test_not_even_a_public_project if fixtures.denies(agent("eve"), "GET", "/api/v1/projects/open", "mcp_token.outside_mcp")

test_token_management_is_never_reached if {
	every path in ["/mcp/tokens", "/mcp/Tokens/1", "/api/v1/mcp/tokens", "/api/v1/mcp/tokens/1", "/api/v1/mcp/Tokens", "/api/v1/mcp/TOKENS/1/trigger"] {
		every method in ["GET", "POST", "PUT", "DELETE"] {
			fixtures.denies(trigger("root"), method, path, "mcp_token.token_management")
		}
	}
}

test_a_collaborator_reads_a_project if {
	every path in ["/api/v1/mcp/projects/p1", "/api/v1/mcp/projects/p1/builds", "/mcp/projects/p1", "/mcp/projects/p1/builds/7"] {
		fixtures.allows(agent("vera"), "GET", path, "mcp_token.project_read")
	}
}

test_somebody_else_does_not if {
	every path in ["/api/v1/mcp/projects/p1/builds", "/mcp/projects/p1", "/mcp/projects/p1/builds"] {
		fixtures.denies(trigger("eve"), "GET", path, "mcp_token.not_a_collaborator")
	}
}

test_a_public_project_is_not_read_by_others if fixtures.denies(agent("dev"), "GET", "/mcp/projects/open", "mcp_token.not_a_collaborator")

# An upstream's router may not care about case: another spelling must not be a path without a project.
test_projects_in_another_case_is_still_a_project if {
	every path in ["/mcp/Projects/p1/builds", "/api/v1/mcp/PROJECTS/p1"] {
		fixtures.denies(agent("eve"), "GET", path, "mcp_token.not_a_collaborator")
		fixtures.allows(agent("dev"), "GET", path, "mcp_token.project_read")
	}
}

test_a_trigger_needs_the_right if {
	every path in ["/api/v1/mcp/projects/p1/trigger", "/mcp/projects/p1/builds"] {
		fixtures.denies(agent("dev"), "POST", path, "mcp_token.trigger_not_allowed")
		fixtures.allows(trigger("dev"), "POST", path, "mcp_token.project_trigger")
	}
}

test_restart_rerun_and_abort_are_triggers if {
	every verb in ["restart", "rerun", "abort", "Restart"] {
		path := sprintf("/api/v1/mcp/projects/p1/builds/7/%s", [verb])
		fixtures.denies(agent("dev"), "GET", path, "mcp_token.trigger_not_allowed")
		fixtures.allows(trigger("dev"), "GET", path, "mcp_token.project_trigger")
	}
}

test_the_right_must_be_true_itself if {
	every value in [false, null, "true", 1] {
		fixtures.denies(fixtures.token_with("mcp", "dev", {"allow_trigger": value}), "POST", "/mcp/projects/p1/trigger", "mcp_token.trigger_not_allowed")
	}
}

test_scope_push_is_not_the_right_to_trigger if {
	caller := fixtures.token_with("mcp", "dev", {"scope_push": true})
	fixtures.denies(caller, "POST", "/mcp/projects/p1/trigger", "mcp_token.trigger_not_allowed")
}

test_a_viewer_does_not_trigger if fixtures.denies(trigger("vera"), "POST", "/mcp/projects/p1/trigger", "mcp_token.role_may_not_trigger")

test_the_project_comes_before_the_trigger_right if fixtures.denies(agent("eve"), "POST", "/mcp/projects/p1/trigger", "mcp_token.not_a_collaborator")

test_a_verb_without_project_is_a_trigger if {
	every path in ["/mcp/restart", "/mcp/builds/7/restart", "/api/v1/mcp/builds/7/abort", "/mcp/cache/clear"] {
		fixtures.denies(agent("dev"), "POST", path, "mcp_token.trigger_not_allowed")
		fixtures.denies(agent("dev"), "GET", path, "mcp_token.trigger_not_allowed")
		fixtures.allows(trigger("dev"), "GET", path, "mcp_token.trigger")
	}
}

test_below_the_api_every_change_is_a_trigger if {
	every method in ["POST", "PUT", "PATCH", "DELETE"] {
		fixtures.denies(agent("dev"), method, "/api/v1/mcp/builds", "mcp_token.trigger_not_allowed")
		fixtures.allows(trigger("dev"), method, "/api/v1/mcp/builds", "mcp_token.trigger")
	}
}

test_other_methods_are_not_of_the_transport if {
	every method in ["PUT", "PATCH", "PURGE"] {
		fixtures.denies(agent("dev"), method, "/mcp", "mcp_token.trigger_not_allowed")
		fixtures.denies(agent("dev"), method, "/mcp/github", "mcp_token.trigger_not_allowed")
	}
}

test_a_project_named_like_a_verb_is_readable if fixtures.allows(agent("dev"), "GET", "/mcp/projects/restart", "mcp_token.project_read")

test_a_token_of_the_tenant_reaches_mcp if {
	every path in ["/mcp", "/mcp/github", "/api/v1/mcp/builds"] {
		fixtures.allows(agent(null), "GET", path, "mcp_token.mcp")
	}
}

test_a_token_of_the_tenant_reaches_no_project if {
	every path in ["/mcp/projects/p1", "/api/v1/mcp/projects/open/builds", "/mcp/Projects/p1"] {
		fixtures.denies(trigger(null), "GET", path, "mcp_token.no_user")
	}
}

test_reserved_sections_are_never_reached if {
	every path in ["/mcp/projects/p1/secrets", "/api/v1/mcp/projects/p1/tokens/1", "/mcp/projects/p1/VAULT"] {
		fixtures.denies(trigger("olga"), "GET", path, "mcp_token.reserved_section")
	}
}

test_cron_jobs_are_for_those_who_manage if {
	fixtures.allows(agent("adam"), "GET", "/mcp/projects/p1/cronjobs", "mcp_token.cron_read")
	fixtures.denies(trigger("dev"), "GET", "/mcp/projects/p1/cronjobs", "mcp_token.cron_needs_administrator")
}

test_changing_cron_jobs_is_a_trigger if {
	fixtures.denies(trigger("dev"), "POST", "/mcp/projects/p1/cronjobs", "mcp_token.cron_needs_administrator")
	fixtures.allows(trigger("adam"), "POST", "/mcp/projects/p1/cronjobs", "mcp_token.cron_trigger")
	fixtures.denies(agent("adam"), "POST", "/mcp/projects/p1/cronjobs", "mcp_token.trigger_not_allowed")
}

test_only_the_owner_removes_the_project if {
	fixtures.allows(trigger("olga"), "DELETE", "/api/v1/mcp/projects/p1", "mcp_token.project_remove")
	fixtures.denies(trigger("adam"), "DELETE", "/api/v1/mcp/projects/p1", "mcp_token.removal_needs_owner")
	fixtures.denies(agent("olga"), "DELETE", "/api/v1/mcp/projects/p1", "mcp_token.trigger_not_allowed")
}

test_editing_the_project_is_not_removing_it if fixtures.allows(trigger("dev"), "PATCH", "/api/v1/mcp/projects/p1", "mcp_token.project_trigger")

test_a_list_of_projects_confines_triggers_as_well if {
	caller := fixtures.token_with("mcp", "olga", {"allow_trigger": true, "projects": {"p2": null}})
	fixtures.denies(caller, "POST", "/mcp/projects/p1/trigger", "mcp_token.project_not_listed")
	fixtures.denies(caller, "DELETE", "/mcp/projects/p1", "mcp_token.project_not_listed")
	fixtures.denies(caller, "GET", "/mcp/projects/p1/cronjobs", "mcp_token.project_not_listed")
	fixtures.denies(caller, "POST", "/mcp/projects/p1/cronjobs", "mcp_token.project_not_listed")
}

test_a_list_of_projects_leaves_other_mcp_paths if {
	fixtures.allows(fixtures.token_with("mcp", "dev", {"projects": {}}), "POST", "/mcp", "mcp_token.mcp")
}

test_a_method_override_is_no_message if {
	question := fixtures.input_of(agent("dev"), "POST", "/mcp/github", {"x-http-method-override": "PUT"})
	fixtures.denies_input(question, "mcp_token.trigger_not_allowed")
}

test_triggers_below_the_api_need_everything_as_well if {
	path := "/api/v1/mcp/projects/p1/trigger"
	fixtures.denies(trigger("eve"), "POST", path, "mcp_token.not_a_collaborator")
	fixtures.denies(agent("eve"), "POST", path, "mcp_token.not_a_collaborator")
	fixtures.denies(trigger("vera"), "POST", path, "mcp_token.role_may_not_trigger")
	fixtures.denies(fixtures.token_with("mcp", "dev", {"allow_trigger": true, "projects": {"p2": null}}), "POST", path, "mcp_token.project_not_listed")
	fixtures.denies(fixtures.token_with("mcp", "dev", {"projects": {"p2": null}}), "POST", path, "mcp_token.project_not_listed")
}

test_an_unusual_read_is_no_trigger if fixtures.allows(trigger("dev"), "GET", "/api/v1/mcp/projects/cache/clear", "mcp_token.project_read")

test_a_method_override_on_a_project_is_a_trigger if {
	every name in ["x-http-method-override", "x-method-override", "x-http-method"] {
		every path in ["/api/v1/mcp/projects/p1/builds", "/mcp/projects/p1/builds"] {
			question := fixtures.input_of(agent("dev"), "GET", path, {name: "DELETE"})
			fixtures.denies_input(question, "mcp_token.trigger_not_allowed")
		}
	}
}

test_triggers_elsewhere_are_outside if {
	every path in ["/api/v2/mcp/projects/p1/builds", "/x/v1/mcp/projects/p1/builds", "/api/v1/mcp2/projects/p1/builds"] {
		fixtures.denies(trigger("dev"), "POST", path, "mcp_token.outside_mcp")
	}
}

test_a_token_limited_to_tools_calls_them_at_the_endpoint if {
	caller := fixtures.token_with("mcp", "dev", {"tools": ["search"], "allow_trigger": true})
	every path in ["/mcp", "/mcp/github"] {
		fixtures.allows(caller, "POST", path, "mcp_token.mcp")
	}
	every path in ["/api/v1/mcp/projects/p1/builds", "/api/v1/mcp/builds", "/mcp/projects/p1/builds", "/mcp/Projects/p1"] {
		fixtures.denies(caller, "GET", path, "mcp_token.tools_only")
		fixtures.denies(caller, "POST", path, "mcp_token.tools_only")
	}
	none := fixtures.token_with("mcp", "dev", {"tools": []})
	fixtures.denies(none, "GET", "/api/v1/mcp/projects/p1/builds", "mcp_token.tools_only")
	fixtures.denies(caller, "GET", "/api/v1/projects/p1", "mcp_token.outside_mcp")
}
