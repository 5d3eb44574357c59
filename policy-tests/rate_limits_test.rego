# How often agents may call: which group a path is of, whose window counts, and beside which answers it stands.
package regate.rate_limits_test

import data.regate.fixtures

agent(user_id) := fixtures.token("mcp", user_id)

trigger(user_id) := fixtures.token_with("mcp", user_id, {"allow_trigger": true})

# The limit beside the answer, or null.
limit_of(question) := object.get(fixtures.decision(question), "rate_limit", null)

limit(caller, method, path) := limit_of(fixtures.input_of(caller, method, path, {}))

# Each of these paths is of this group, which has this number.
in_group(method, paths, group, calls) if {
	every path in paths {
		limit(trigger("dev"), method, path) == {
			"name": concat(".", ["mcp", group]),
			"key": "user:dev",
			"limit": calls,
			"window_seconds": 60,
		}
	}
}

test_logs if {
	in_group("GET", [
		"/mcp/projects/p1/logs", "/mcp/projects/p1/console", "/api/v1/mcp/projects/p1/logs/7", "/mcp/Projects/p1/LOGS",
		"/api/v1/mcp/projects/p1/jobs/7/console", "/mcp/projects/p1/builds/7/jobs/8/log", "/api/v1/mcp/logs",
	], "logs", 10)
}

test_artifacts if {
	in_group("GET", [
		"/mcp/projects/p1/artifacts", "/api/v1/mcp/projects/p1/artifacts/a.zip", "/mcp/projects/p1/jobs/7/artifacts/builds",
		"/api/v1/mcp/artifacts",
	], "artifacts", 10)
}

test_builds if in_group("GET", ["/mcp/projects/p1/builds", "/api/v1/mcp/projects/p1/builds/7", "/api/v1/mcp/builds"], "builds", 30)

test_jobs if in_group("GET", ["/mcp/projects/p1/jobs", "/api/v1/mcp/projects/p1/builds/7/jobs", "/mcp/jobs"], "jobs", 30)

test_projects if in_group("GET", ["/mcp/projects", "/api/v1/mcp/projects", "/mcp/projects/p1", "/api/v1/mcp/Projects/p1", "/mcp/projects/logs"], "projects", 30)

test_triggers if {
	in_group("POST", ["/mcp/projects/p1/trigger", "/mcp/projects/p1/builds", "/api/v1/mcp/projects/p1/logs", "/api/v1/mcp/builds", "/mcp/restart"], "trigger", 5)
	in_group("GET", ["/mcp/projects/p1/builds/7/restart", "/api/v1/mcp/projects/p1/jobs/7/Abort", "/mcp/builds/7/rerun"], "trigger", 5)
	in_group("DELETE", ["/api/v1/mcp/projects/p1"], "trigger", 5)
	in_group("PUT", ["/mcp"], "trigger", 5)
}

test_anything_else if {
	in_group("GET", ["/mcp", "/mcp/github", "/mcp/projects/p1/cronjobs", "/api/v1/mcp/whoami", "/mcp/projects/p1/x/y"], "other", 30)
	in_group("POST", ["/mcp", "/mcp/github", "/mcp/messages/1"], "other", 30)
	in_group("DELETE", ["/mcp"], "other", 30)
}

test_messages_are_anything_else if {
	every method in ["initialize", "ping", "tools/list", "tools/call", "notifications/initialized", "no/such/method", null] {
		question := object.union(
			fixtures.input_of(agent("dev"), "POST", "/mcp", {}),
			{"mcp": {"method": method, "params": {"name": "logs"}, "tool": "logs"}},
		)
		limit_of(question).name == "mcp.other"
	}
}

test_a_method_override_is_a_trigger if {
	question := fixtures.input_of(agent("dev"), "GET", "/mcp/projects/p1/logs", {"x-http-method-override": "DELETE"})
	limit_of(question).name == "mcp.trigger"
}

test_two_tokens_of_a_user_share_a_window_and_two_users_do_not if {
	one := fixtures.token_with("mcp", "dev", {"id": "t1"})
	another := fixtures.token_with("mcp", "dev", {"id": "t2", "allow_trigger": true, "projects": {"p1": null}})
	limit(one, "GET", "/mcp/projects/p1/logs") == limit(another, "GET", "/mcp/projects/p1/console")
	limit(agent("vera"), "GET", "/mcp").key == "user:vera"
	limit(agent("dev"), "GET", "/mcp").key == "user:dev"
}

test_a_token_of_the_tenant_is_its_own_key if {
	limit(fixtures.token_with("mcp", null, {"id": "dev"}), "GET", "/mcp").key == "token:dev"
	limit(fixtures.token_with("mcp", "token:dev", {"id": "t1"}), "GET", "/mcp").key == "user:token:dev"
}

# First the credential, then the limit, then the project and the right to trigger.
test_the_limit_stands_beside_denies_too if {
	fixtures.denies(agent("eve"), "GET", "/mcp/projects/p1/logs", "mcp_token.not_a_collaborator")
	limit(agent("eve"), "GET", "/mcp/projects/p1/logs").name == "mcp.logs"
	fixtures.denies(agent("dev"), "POST", "/mcp/projects/p1/trigger", "mcp_token.trigger_not_allowed")
	limit(agent("dev"), "POST", "/mcp/projects/p1/trigger").name == "mcp.trigger"
	fixtures.denies(agent("dev"), "GET", "/mcp/tokens", "mcp_token.token_management")
	limit(agent("dev"), "GET", "/mcp/tokens").name == "mcp.other"
	fixtures.denies(agent(null), "GET", "/mcp/projects/p1", "mcp_token.no_user")
	limit(agent(null), "GET", "/mcp/projects/p1") == {"name": "mcp.projects", "key": "token:t1", "limit": 30, "window_seconds": 60}
}

test_and_beside_the_denies_of_the_organisation if {
	answer := data.regate.decision with input as fixtures.input_of(agent("dev"), "GET", "/mcp", {})
		with data.regate.overrides.deny as {"change.freeze"}
	answer.reasons == ["change.freeze"]
	answer.rate_limit.name == "mcp.other"
}

test_a_disabled_user_is_not_counted if {
	fixtures.denies(agent("gone"), "GET", "/mcp", "user.disabled")
	limit(agent("gone"), "GET", "/mcp") == null
}

test_what_is_no_mcp_path_is_not_counted if {
	every path in ["/", "/api/v1/mcp", "/api/v1/projects/p1/builds", "/MCP", "/x/mcp"] {
		limit(agent("dev"), "GET", path) == null
	}
}

test_nobody_else_is_counted if {
	every kind in ["global", "project", "admin", "session", "gateway", "other"] {
		every path in ["/mcp", "/mcp/projects/p1/logs", "/api/v1/projects/p1/builds"] {
			limit(fixtures.token_with(kind, "dev", {"project_id": "p1"}), "GET", path) == null
		}
	}
	limit(null, "GET", "/mcp") == null
}

test_the_numbers_are_data if {
	answer := data.regate.decision with input as fixtures.input_of(agent("dev"), "GET", "/mcp/github", {})
		with data.limits.mcp.groups.other as {"calls": 7, "window_seconds": 3600}
	answer.rate_limit == {"name": "mcp.other", "key": "user:dev", "limit": 7, "window_seconds": 3600}
}

test_without_numbers_there_is_no_call if {
	every without in [{}, {"calls": 7}, {"window_seconds": 60}] {
		answer := data.regate.decision with input as fixtures.input_of(agent("dev"), "GET", "/mcp", {})
			with data.limits.mcp.groups.other as without
		answer.allow == false
		answer.reasons == ["policy.no_rule_matched"]
		not answer.rate_limit
	}
}
