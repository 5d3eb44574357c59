# Sessions: a person, signed in with a JWT of the organisation.
#
# What a session may do on a project follows from the collaborator's role: a viewer reads, a developer
# also writes, an administrator also manages what is set apart, the owner also removes the project.
# Anybody with a session may read public projects.
#
# What is allowed is said in full in each body that allows, whatever the way there. The denies between
# them only say which condition failed, so a mistake in one of them cannot open anything.
package regate.session

# The usual questions first. A collaborator reads what is not set apart.
decision := {"allow": true, "reasons": ["session.project_read"]} if {
	data.routes.safe_methods[input.request.method]
	data.collaborators[data.regate.request.quiet_project][input.user.id].role
}

# A collaborator whose role may write writes, below the project.
else := {"allow": true, "reasons": ["session.project_write"]} if {
	not data.routes.safe_methods[input.request.method]
	project := data.regate.request.below_project
	data.collaborators[project][input.user.id].role in {"developer", "administrator", "owner"}
}

# Everything else, by area.
else := areas

# A session of somebody whom the data does not know has no rights at all.
areas := {
	"allow": false,
	"reasons": ["session.unknown_user"],
	"message": "there is no such user",
} if {
	not is_string(input.user.id)
}

else := on_project if data.regate.request.project

else := on_mcp_project if data.regate.request.mcp_project

# The paths for agents where no project is named; among them the management of the user's MCP tokens.
else := {"allow": true, "reasons": ["session.mcp"]} if {
	is_string(input.user.id)
	data.regate.request.mcp_start
	not data.regate.request.mcp_project
}

else := on_project_list if data.regate.request.project_list

else := on_administration if administration_path

# Nowhere: a rule without a path would be a rule for everything.
else := {
	"allow": false,
	"reasons": ["session.no_such_area"],
	"message": "no rule allows a session here",
}

# The user's role on the project of the path, at this moment. Undefined when the data does not know
# the user.
role := data.collaborators[data.regate.request.project][input.user.id].role

# A project. The same two rights as in `decision`, for every path.
on_project := {"allow": true, "reasons": ["session.project_read"]} if {
	role
	data.regate.request.section == "ordinary"
	data.regate.request.read
}

else := {"allow": true, "reasons": ["session.project_write"]} if {
	role in {"developer", "administrator", "owner"}
	data.regate.request.section == "ordinary"
	not data.regate.request.read
	not data.regate.request.removes_project
}

# Secrets, keys, tokens, collaborators and cron jobs.
else := {"allow": true, "reasons": ["session.project_manage"]} if {
	role in {"administrator", "owner"}
	data.regate.request.section in {"reserved", "cron"}
}

# Removing the project.
else := {"allow": true, "reasons": ["session.project_remove"]} if {
	role == "owner"
	data.regate.request.removes_project
}

# A public project, without being a collaborator.
else := {"allow": true, "reasons": ["session.public_read"]} if {
	is_string(input.user.id)
	data.projects[data.regate.request.project].public == true
	data.regate.request.section == "ordinary"
	data.regate.request.read
}

# Not a collaborator, and it is not public, or this is more than reading it.
else := {
	"allow": false,
	"reasons": ["session.not_a_collaborator"],
	"message": "you are not a collaborator on this project",
} if {
	not role
}

else := {
	"allow": false,
	"reasons": ["session.section_needs_administrator"],
	"message": "this part of the project needs the role administrator or owner",
} if {
	data.regate.request.section != "ordinary"
}

else := {
	"allow": false,
	"reasons": ["session.role_may_not_write"],
	"message": "your role may only read this project",
} if {
	role == "viewer"
}

else := {
	"allow": false,
	"reasons": ["session.removal_needs_owner"],
	"message": "only the owner may remove a project",
} if {
	data.regate.request.removes_project
}

# Not reached: a role that nobody knows.
else := {
	"allow": false,
	"reasons": ["session.no_such_area"],
	"message": "no rule allows a session here",
}

# The user's role on the project of a path for agents.
mcp_role := data.collaborators[data.regate.request.mcp_project][input.user.id].role

# The paths for agents: a project read by a collaborator.
on_mcp_project := {"allow": true, "reasons": ["session.mcp_project_read"]} if {
	mcp_role
	mcp_section_is_open
	data.regate.request.read
}

# And changed.
else := {"allow": true, "reasons": ["session.mcp_project_write"]} if {
	mcp_role in {"developer", "administrator", "owner"}
	mcp_section_is_open
	not data.regate.request.read
	not data.regate.request.removes_mcp_project
}

# And removed.
else := {"allow": true, "reasons": ["session.mcp_project_remove"]} if {
	mcp_role == "owner"
	data.regate.request.removes_mcp_project
}

else := {
	"allow": false,
	"reasons": ["session.not_a_collaborator"],
	"message": "you are not a collaborator on this project",
} if {
	not mcp_role
}

# What is set apart is not for agents, and so not on their paths.
else := {
	"allow": false,
	"reasons": ["session.reserved_on_mcp_path"],
	"message": "this part of a project is not to be had on an MCP path",
} if {
	data.regate.request.mcp_section == "reserved"
}

else := {
	"allow": false,
	"reasons": ["session.section_needs_administrator"],
	"message": "this part of the project needs the role administrator or owner",
} if {
	data.regate.request.mcp_section != "ordinary"
	not mcp_role in {"administrator", "owner"}
}

else := {
	"allow": false,
	"reasons": ["session.role_may_not_write"],
	"message": "your role may only read this project",
} if {
	mcp_role == "viewer"
}

else := {
	"allow": false,
	"reasons": ["session.removal_needs_owner"],
	"message": "only the owner may remove a project",
} if {
	data.regate.request.removes_mcp_project
}

# Not reached: a role that nobody knows.
else := {
	"allow": false,
	"reasons": ["session.no_such_area"],
	"message": "no rule allows a session here",
}

# The part of the project is not set apart, or is one of cron jobs and the user manages the project.
mcp_section_is_open if data.regate.request.mcp_section == "ordinary"

else if {
	data.regate.request.mcp_section == "cron"
	mcp_role in {"administrator", "owner"}
}

# The list of projects.
on_project_list := {"allow": true, "reasons": ["session.project_list"]} if {
	is_string(input.user.id)
	data.regate.request.project_list
	data.regate.request.read
}

# A new project.
else := {"allow": true, "reasons": ["session.project_create"]} if {
	input.user.role in {"user", "admin"}
	data.regate.request.project_list
	data.regate.request.method == "POST"
}

# Creating one is all that can be done to the list, and not by everybody.
else := {
	"allow": false,
	"reasons": ["session.role_may_not_create_project"],
	"message": "your role may not create projects",
} if {
	data.regate.request.method == "POST"
}

else := {
	"allow": false,
	"reasons": ["session.list_is_read_or_create"],
	"message": "the list of projects can be read, and a project created",
}

# `/api/v1/admin` and below.
administration_path if {
	path := input.request.path
	array.slice(path, 0, 3) == ["api", "v1", "admin"]
}

# Administration: an admin does all of it, a viewer of the organisation looks at it.
on_administration := {"allow": true, "reasons": ["session.administration"]} if {
	input.user.role == "admin"
	administration_path
}

else := {"allow": true, "reasons": ["session.administration_read"]} if {
	input.user.role == "viewer"
	administration_path
	data.regate.request.read
}

else := {
	"allow": false,
	"reasons": ["session.administration_is_read_only"],
	"message": "your role may look at administration, and not change it",
} if {
	input.user.role == "viewer"
}

else := {
	"allow": false,
	"reasons": ["session.administration_needs_admin"],
	"message": "administration needs the role admin",
}
