# What the policy tests share: a small organisation, callers, and the question put with all of its
# data. A deny test without data would pass for the wrong reason, so no test asks in any other way.
package regate.fixtures

# One private and one public project, and some whose ids are words that mean something elsewhere.
projects := {
	"p1": {"name": "one", "public": false},
	"p2": {"name": "two", "public": false},
	"open": {"name": "open", "public": true},
	"restart": {"name": "named like a verb", "public": false},
	"secrets": {"name": "named like a section", "public": false},
	"cache": {"name": "named like a verb's beginning", "public": false},
}

# Everybody's first letter is that of the role on p1. `dev` also works on the oddly named projects.
collaborators := {
	"p1": {
		"vera": {"role": "viewer"},
		"dev": {"role": "developer"},
		"adam": {"role": "administrator"},
		"olga": {"role": "owner"},
		"gone": {"role": "owner"},
		"root": {"role": "viewer"},
	},
	"p2": {"eve": {"role": "owner"}},
	"open": {"eve": {"role": "developer"}},
	"restart": {"dev": {"role": "developer"}},
	"secrets": {"dev": {"role": "developer"}},
	"cache": {"dev": {"role": "developer"}},
}

# `root` administers the organisation, `audit` looks at its administration, `gone` is disabled.
users := {
	"vera": {"role": "user", "disabled": false},
	"dev": {"role": "user", "disabled": false},
	"adam": {"role": "user", "disabled": false},
	"olga": {"role": "user", "disabled": false},
	"eve": {"role": "user", "disabled": false},
	"root": {"role": "admin", "disabled": false},
	"audit": {"role": "viewer", "disabled": false},
	"gone": {"role": "admin", "disabled": true},
}

# The moment of every question.
now := 1000000

# A token of a kind and a user, with no right of its own but to read.
token(kind, user_id) := {
	"id": "t1",
	"kind": kind,
	"tenant": "default",
	"user_id": user_id,
	"project_id": null,
	"scope_pull": true,
	"scope_push": false,
	"allow_trigger": false,
	"projects": null,
	"tools": null,
	"expires_at": null,
}

# The same token with some fields changed.
token_with(kind, user_id, fields) := object.union(token(kind, user_id), fields)

# The user's row as `input.user` has it, or null.
user_of(caller) := object.union({"id": caller.user_id}, users[caller.user_id]) if users[caller.user_id]

else := null

# The question: who, which method, which path, which headers.
input_of(caller, method, path, headers) := {
	"request": {
		"method": method,
		"path": [segment | some segment in split(path, "/"); segment != ""],
		"raw_path": path,
		"query": {},
		"host": "api.example",
		"headers": headers,
		"source_ip": "192.0.2.7",
	},
	"token": caller,
	"user": user_of(caller),
	"gateway": null,
	"upstream": null,
	"mcp": null,
	"context": {},
	"now": now,
}

# The whole result for an input.
decision(question) := answer if {
	answer := data.regate.decision with input as question
		with data.projects as projects
		with data.collaborators as collaborators
		with data.users as users
}

# It is allowed, for this reason and no other.
allows(caller, method, path, reason) if allows_input(input_of(caller, method, path, {}), reason)

# It is denied, for this reason and no other, and says so in words.
denies(caller, method, path, reason) if {
	denies_input(input_of(caller, method, path, {}), reason)
}

# The same for a whole input.
denies_input(question, reason) if {
	answer := decision(question)
	answer.allow == false
	answer.reasons == [reason]
	count(answer.message) > 0
}

# The same for a whole input.
allows_input(question, reason) if {
	json.remove(decision(question), ["rate_limit"]) == {"allow": true, "reasons": [reason]}
}
