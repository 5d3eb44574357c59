# MCP messages: what no version of MCP has is denied, whoever sends it.
package regate.message_test

import data.regate.fixtures

agent(fields) := fixtures.token_with("mcp", "dev", fields)

# The question of this caller with a message at the endpoint.
asked(caller, method, params) := object.union(
	fixtures.input_of(caller, "POST", "/mcp", {}),
	{"mcp": {"method": method, "params": params, "tool": object.get(params, "name", null)}},
)

test_known_requests_notifications_and_responses_pass if {
	every method in ["initialize", "ping", "tools/list", "tools/call", "resources/templates/list", "tasks/result", "logging/setLevel", "completion/complete", "notifications/initialized", "notifications/x", null] {
		fixtures.allows_input(asked(agent({}), method, {}), "mcp_token.mcp")
		fixtures.allows_input(asked(fixtures.token("session", "dev"), method, {}), "session.mcp")
		fixtures.allows_input(asked(fixtures.token("admin", "dev"), method, {}), "session.mcp")
	}
}

test_what_is_not_known_is_denied_whoever_asks if {
	every method in ["tools/delete", "Tools/Call", "tools/call ", "", "notifications", "Notifications/x", "ping/", "sampling/createMessage", 1, false, {}] {
		every kind in ["mcp", "session", "admin", "global", "project", "other"] {
			fixtures.denies_input(asked(fixtures.token(kind, "olga"), method, {}), "mcp.method_unknown")
		}
		fixtures.denies_input(asked(null, method, {}), "mcp.method_unknown")
	}
}

test_a_message_without_a_method_is_unknown if {
	question := object.union(fixtures.input_of(agent({}), "POST", "/mcp", {}), {"mcp": {"params": {}}})
	fixtures.denies_input(question, "mcp.method_unknown")
}

test_a_message_opens_no_other_path if {
	question := object.union(
		fixtures.input_of(fixtures.token("global", "dev"), "GET", "/api/v1/admin", {}),
		{"mcp": {"method": "ping", "params": null, "tool": null}},
	)
	fixtures.denies_input(question, "global_token.outside_projects")
	outside := object.union(question, {"token": agent({})})
	fixtures.denies_input(outside, "mcp_token.outside_mcp")
	nobody := object.union(question, {"token": fixtures.token("gateway", "dev")})
	fixtures.denies_input(nobody, "gateway_token.never_a_caller")
}

test_a_question_that_speaks_of_no_message_has_none if {
	question := json.remove(fixtures.input_of(agent({}), "POST", "/mcp", {}), ["mcp"])
	fixtures.allows_input(question, "mcp_token.mcp")
}

test_the_organisation_and_a_disabled_user_come_before_the_message if {
	fixtures.denies_input(asked(fixtures.token("mcp", "gone"), "x", {}), "user.disabled")
}

test_a_listed_tool_is_called if {
	fixtures.allows_input(asked(agent({"tools": ["read", "search"]}), "tools/call", {"name": "search"}), "mcp_token.mcp")
}

test_no_other_tool_is if {
	every name in ["delete", "Search", "search ", "", null, 1, ["search"], {"search": true}] {
		every tools in [["read", "search"], []] {
			question := asked(agent({"tools": tools, "allow_trigger": true}), "tools/call", {"name": name})
			fixtures.denies_input(question, "token.tool_not_listed")
		}
	}
	fixtures.denies_input(asked(agent({"tools": ["search"]}), "tools/call", {}), "token.tool_not_listed")
}

test_a_list_of_tools_leaves_other_messages if {
	every method in ["tools/list", "ping", "notifications/initialized", null] {
		fixtures.allows_input(asked(agent({"tools": []}), method, {}), "mcp_token.mcp")
	}
}

# The scopes that go with a call of this tool by a token that lists none.
scopes(name) := object.get(fixtures.decision(asked(agent({"tools": []}), "tools/call", {"name": name})), "scopes", null)

test_the_scope_names_the_tool_where_it_can if {
	scopes("delete") == ["tools:delete"]
	scopes("a.b/c-d_e:f") == ["tools:a.b/c-d_e:f"]
	every name in ["a b", "a\"b", "a\\b", "a\nb", "\u00e4", "", null, sprintf("%0129d", [1])] {
		scopes(name) == null
	}
}

test_a_trigger_that_is_not_allowed_names_its_scope if {
	answer := fixtures.decision(fixtures.input_of(agent({}), "POST", "/mcp/projects/p1/builds", {}))
	answer.reasons == ["mcp_token.trigger_not_allowed"]
	answer.scopes == ["trigger"]
}

# The example of the contract: no challenge goes with it.
test_other_kinds_of_token_are_told_no_scope if {
	answer := fixtures.decision(fixtures.input_of(fixtures.token("global", "dev"), "POST", "/api/v1/projects/p1/builds", {}))
	answer.reasons == ["global_token.write_needs_scope_push"]
	not answer.scopes
}
