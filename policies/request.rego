# Facts about the request that several callers' rules need: what it would change, and which project
# and section it is about. What the words mean (methods, routes, sections) is data, in
# routes/data.json.
#
# Everything here is said positively ("this only reads", "this section is ordinary"). Where the data
# is missing or malformed the fact is undefined, and a rule that needs it does not allow.
package regate.request

# The method that the upstream will act on. Many frameworks let a header replace the method, so a
# request that carries one may do anything: it counts as no known method, whatever the header says.
method := input.request.method if {
	object.filter(data.routes.method_override_headers, input.request.headers) == {}
}

else := input.request.method if not input.request.headers

else := "OVERRIDDEN"

# The request looks at something and changes nothing. What is not known to be a read is a write.
read if {
	data.routes.safe_methods[input.request.method]
	looks_only
}

# A safe method that no header replaces, on a path that triggers nothing. (The first body is the usual
# case of the second, without its detours: it is there for speed alone.)
looks_only if {
	path := input.request.path
	object.get(data.routes.changing, lower(path[count(path) - 1]), "no verb") == "no verb"
	object.filter(data.routes.method_override_headers, input.request.headers) == {}
}

else if {
	data.routes.safe_methods[method]
	unchanging
}

# The path does not end in a verb such as `restart`. No wildcard stands between the project and the
# verb, so none can swallow it; upper and lower case are the same, as an upstream's router may say.
unchanging if {
	last := input.request.path[count(input.request.path) - 1]
	object.get(data.routes.changing, lower(last), "no verb") == "no verb"
}

# The verb, with the segments that must precede it, does not fit behind the project's id: then it is
# the name of something, as in `/api/v1/projects/restart`.
else if {
	last := count(input.request.path) - 1
	preceding := data.routes.changing[lower(input.request.path[last])]
	last - count(preceding) < first_free_segment
}

# The segments before it are not those that make it a verb: `cache/clear` is one, `log/clear` is not.
else if {
	last := count(input.request.path) - 1
	preceding := data.routes.changing[lower(input.request.path[last])]
	found := [lower(segment) | some segment in array.slice(input.request.path, last - count(preceding), last)]
	found != preceding
}

# The index of the first segment that can be a verb: what comes before it are names of our own and
# the project's id.
first_free_segment := 4 if project

else := mcp_start + 2 if mcp_project

else := 0

# The request would remove the project itself, or might: only the methods known to edit do not.
removes_project if {
	count(input.request.path) == 4
	project
	not read
	not data.routes.editing_methods[method]
}

# The project of `/api/v1/projects/{project}` and below.
project := input.request.path[3] if {
	input.request.path[2] == "projects"
	input.request.path[1] == "v1"
	input.request.path[0] == "api"
}

# `/api/v1/projects` itself: the list of projects.
project_list if input.request.path == ["api", "v1", "projects"]

# The same project, when the path means it as a whole or an ordinary part of it: nothing set apart.
# (The first body is the usual case of the second, and there for speed alone.)
ordinary_project := path[3] if {
	path := input.request.path
	array.slice(path, 0, 3) == ["api", "v1", "projects"]
	object.get(data.routes.sections, lower(path[4]), "ordinary") == "ordinary"
}

else := project if section == "ordinary"

# What the segment directly behind the project is: `ordinary`, `reserved` or `cron`.
section := object.get(data.routes.sections, lower(input.request.path[4]), "ordinary") if {
	count(input.request.path) > 4
}

# The project itself.
else := "ordinary" if count(input.request.path) == 4

# The index of the first segment below `/mcp` or `/api/v1/mcp`. `/api/v1/mcp` itself is not an
# address of agents, `/mcp` is.
mcp_start := 1 if input.request.path[0] == "mcp"

else := 3 if {
	input.request.path[2] == "mcp"
	input.request.path[1] == "v1"
	input.request.path[0] == "api"
	count(input.request.path) > 3
}

# The project of `/mcp/projects/{project}` and `/api/v1/mcp/projects/{project}` and below. The word
# `projects` counts in any case: an upstream may route `/mcp/Projects/p1` to the same place.
mcp_project := input.request.path[mcp_start + 1] if lower(input.request.path[mcp_start]) == "projects"

# The same as `section`, for these paths.
mcp_section := object.get(data.routes.sections, lower(input.request.path[mcp_start + 2]), "ordinary") if {
	count(input.request.path) > mcp_start + 2
}

else := "ordinary" if count(input.request.path) == mcp_start + 2

# The same project, when the path means it as a whole or an ordinary part of it. (The first body is the
# usual case of the second, and there for speed alone.)
ordinary_mcp_project := path[4] if {
	path := input.request.path
	array.slice(path, 0, 4) == ["api", "v1", "mcp", "projects"]
	object.get(data.routes.sections, lower(path[5]), "ordinary") == "ordinary"
}

else := mcp_project if mcp_section == "ordinary"

# The same as `removes_project`, for these paths.
removes_mcp_project if {
	count(input.request.path) == mcp_start + 2
	mcp_project
	not read
	not data.routes.editing_methods[method]
}

# `/api/v1/mcp/tokens` and below: minting, listing and revoking MCP tokens.
mcp_token_management if {
	input.request.path[0] == "api"
	mcp_start == 3
	lower(input.request.path[3]) == "tokens"
}
