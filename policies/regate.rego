# The entrypoint for gateways' questions: `data.regate.decision`.
#
# It decides nothing itself. It looks at who asks and hands the question to the file for that kind of
# caller. The result is always an object with `allow` and `reasons`; `message` is plain English for a
# deny. Every reason is explained in docs/reasons.md.
#
# Some habits of these files are for speed, and measured. What is asked most comes first, in a body that
# names everything that must hold. Behind it the rules make a tree, so that a denied caller's question
# is not asked all over again. Chains of `else` instead of sets of reasons: the first answer ends the
# search. The rules on busy ways are short, since the virtual machine clears the room for all bodies of
# a rule whenever it enters it. And rules of other packages are named in full, never through an `import`
# of their package: the virtual machine would evaluate that whole package for each mention.
package regate

# A caller is heard when nothing forbids it beforehand: no deny of the organisation's own, a user who is not
# disabled (only `false` is not disabled; anonymous callers and some tokens have no user), and no MCP message of an
# unknown method. The two busiest kinds of caller come first, and only a question with a message is asked about it.
decision := data.regate.global_token.decision if {
	input.token.kind == "global"
	data.regate.overrides.deny == set()
	not input.user.disabled
	input.mcp == null
}

# An agent's calls are counted: beside the answer stands how often (rate_limits.rego).
else := counted_agent if {
	input.token.kind == "mcp"
	not input.user.disabled
}

else := any_caller if {
	data.regate.overrides.deny == set()
	not input.user.disabled
	data.regate.message.known
}

else := forbidden

# Holds: the caller is an agent's token, and its user is not disabled. What is no MCP path is denied and not counted.
counted_agent := object.union(agent, {"rate_limit": data.regate.rate_limits.mcp}) if data.regate.rate_limits.mcp

else := agent if not data.regate.request.mcp_start

# Without a limit there is no call: the data does not say how often (limits/data.json).
else := {
	"allow": false,
	"reasons": ["policy.no_rule_matched"],
	"message": "no limit is set for this",
}

# The answer itself.
agent := data.regate.mcp_token.decision if {
	data.regate.overrides.deny == set()
	input.mcp == null
}

else := data.regate.mcp_token.decision if {
	data.regate.overrides.deny == set()
	data.regate.message.known
}

else := forbidden

# An organisation's own deny (overrides.rego) is stronger than every allow.
forbidden := {
	"allow": false,
	"reasons": [reason | some reason in data.regate.overrides.deny],
	"message": "a rule of this organisation forbids it",
} if {
	data.regate.overrides.deny != set()
}

# Whoever is disabled has no rights left, whichever credential is used.
else := {
	"allow": false,
	"reasons": ["user.disabled"],
	"message": "this user is disabled",
} if {
	input.user.disabled
}

# Nobody has said what such a message does.
else := {
	"allow": false,
	"reasons": ["mcp.method_unknown"],
	"message": "this MCP method is not known",
} if {
	not data.regate.message.known
}

# Not reached: one of the three holds, or the set of denies could not be had.
else := {
	"allow": false,
	"reasons": ["policy.no_rule_matched"],
	"message": "no rule allows this",
}

# Holds: the caller is heard.
any_caller := data.regate.session.decision if input.token.kind == "session"

else := data.regate.project_token.decision if input.token.kind == "project"

else := data.regate.anonymous.decision if input.token == null

else := data.regate.admin_token.decision if input.token.kind == "admin"

else := data.regate.global_token.decision if input.token.kind == "global"

# A gateway's token says which gateway asks. It is never the caller's own credential.
else := {
	"allow": false,
	"reasons": ["gateway_token.never_a_caller"],
	"message": "a gateway's token cannot be used as a caller's",
} if {
	input.token.kind == "gateway"
}

# A caller of a kind that this bundle does not know.
else := {
	"allow": false,
	"reasons": ["policy.no_rule_matched"],
	"message": "no rule allows this",
}
