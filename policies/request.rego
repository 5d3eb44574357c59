# Facts about the request that several callers' rules need: what it would change, and which project
# and section it is about. What the words mean (methods, routes, sections) is data, in
# routes/data.json.
#
# Everything here is said positively ("this only reads", "this section is ordinary"). Where the data
# is missing or malformed the fact is undefined, and a rule that needs it does not allow.
#
# The quick facts at the end say again what the others say, for the usual paths and in one go.
package regate.request

# The method that the upstream will act on. Many frameworks let a header replace the method, so a
# request that carries one may do anything: it counts as no known method, whatever the header says.
# (The names stand here and not in the data: looking for three names is quicker than going through a
# list. `quiet_project` below has them as well.)
method := input.request.method if {
	not input.request.headers["x-http-method-override"]
	not input.request.headers["x-method-override"]
	not input.request.headers["x-http-method"]
}

else := "OVERRIDDEN"

# The request looks at something and changes nothing. What is not known to be a read is a write.
read if {
	data.routes.safe_methods[input.request.method]
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
	found := [word |
		some segment in array.slice(input.request.path, last - count(preceding), last)
		word := lower(segment)
	]
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
project := path[3] if {
	path := input.request.path
	array.slice(path, 0, 3) == ["api", "v1", "projects"]
}

# `/api/v1/projects` itself: the list of projects.
project_list if input.request.path == ["api", "v1", "projects"]

# What the segment directly behind the project is: `ordinary`, `reserved` or `cron`.
section := object.get(data.routes.sections, lower(input.request.path[4]), "ordinary") if {
	input.request.path[4]
}

# The project itself.
else := "ordinary" if count(input.request.path) == 4

# The index of the first segment below `/mcp` or `/api/v1/mcp`. `/api/v1/mcp` itself is not an
# address of agents, `/mcp` is.
mcp_start := 3 if {
	path := input.request.path
	array.slice(path, 0, 3) == ["api", "v1", "mcp"]
	path[3]
}

else := 1 if input.request.path[0] == "mcp"

# The project of `/mcp/projects/{project}` and `/api/v1/mcp/projects/{project}` and below. The word
# `projects` counts in any case: an upstream may route `/mcp/Projects/p1` to the same place.
mcp_project := input.request.path[mcp_start + 1] if lower(input.request.path[mcp_start]) == "projects"

# The same as `section`, for these paths.
mcp_section := object.get(data.routes.sections, lower(input.request.path[mcp_start + 2]), "ordinary") if {
	count(input.request.path) > mcp_start + 2
}

else := "ordinary" if count(input.request.path) == mcp_start + 2

# The same as `removes_project`, for these paths.
removes_mcp_project if {
	count(input.request.path) == mcp_start + 2
	mcp_project
	not read
	not data.routes.editing_methods[method]
}

# `/api/v1/mcp/tokens` and below: minting, listing and revoking MCP tokens. The same below `/mcp`: an
# upstream that has it there means the same by it.
mcp_token_management if lower(input.request.path[mcp_start]) == "tokens"

# The quick facts. Each is what its comment says, and undefined where it takes longer to tell: so a rule
# may allow by one, and must never deny because one is undefined.
#
# The project, when the path means an ordinary part of it: `section` is "ordinary", and what is changed is
# not the project itself.
below_project := path[3] if {
	path := input.request.path
	array.slice(path, 0, 3) == ["api", "v1", "projects"]
	object.get(data.routes.sections, lower(path[4]), "ordinary") == "ordinary"
}

# The project, when the path means it as a whole or an ordinary part of it, and neither the path's last
# word nor a header makes more of a safe method: `section` is "ordinary", and `read` holds if the method
# is safe. (The lines `sections` and `changing` make sure of the data. Where the path ends with the
# project there is no segment behind it, and so none that is set apart.)
quiet_project := project if {
	path := input.request.path
	array.slice(path, 0, 3) == ["api", "v1", "projects"]
	project := path[3]
	project
	sections := data.routes.sections
	sections
	not sections[lower(path[4])]
	changing := data.routes.changing
	changing
	not changing[lower(path[count(path) - 1])]
	headers := input.request.headers
	not headers["x-http-method-override"]
	not headers["x-method-override"]
	not headers["x-http-method"]
}

# The same two for `/api/v1/mcp/projects/{project}` and below, in this spelling.
below_mcp_project := path[4] if {
	path := input.request.path
	array.slice(path, 0, 4) == ["api", "v1", "mcp", "projects"]
	object.get(data.routes.sections, lower(path[5]), "ordinary") == "ordinary"
}

quiet_mcp_project := project if {
	path := input.request.path
	array.slice(path, 0, 4) == ["api", "v1", "mcp", "projects"]
	project := path[4]
	project
	sections := data.routes.sections
	sections
	not sections[lower(path[5])]
	changing := data.routes.changing
	changing
	not changing[lower(path[count(path) - 1])]
	headers := input.request.headers
	not headers["x-http-method-override"]
	not headers["x-method-override"]
	not headers["x-http-method"]
}
