# A token may list the projects that it is confined to, each until its own expiry.
package regate.token_projects

# Whether the token may be used for the project of the path at this moment: `live`, `expired` or
# `not_listed`. No list (`null`) is no limit. An empty list, and a token without the field, lists
# nothing. Undefined for a token with a list where the path names no project.
standing := "live" if input.token.projects == null

else := listed

# Listed without an expiry.
listed := "live" if input.token.projects[project] == null

# Listed, and not yet expired. At the very second of its expiry it has expired.
else := "live" if {
	expiry := input.token.projects[project]
	is_number(expiry)
	input.now < expiry
}

# Listed, and past its expiry, or with one that cannot be read.
else := "expired" if input.token.projects[project] != null

else := "not_listed" if project

# The project of the path, in either of the places where a path can name one.
project := data.regate.request.project if data.regate.request.project

else := data.regate.request.mcp_project if data.regate.request.mcp_project
