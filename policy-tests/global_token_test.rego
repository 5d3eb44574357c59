# Global tokens: reading as a collaborator, writing with scope_push, and nothing beyond projects.
package regate.global_token_test

import data.regate.fixtures

reader(user_id) := fixtures.token("global", user_id)

writer(user_id) := fixtures.token_with("global", user_id, {"scope_push": true})

listing(user_id, projects) := fixtures.token_with("global", user_id, {"projects": projects})

test_a_collaborator_reads_the_project_and_below if {
	every path in ["/api/v1/projects/p1", "/api/v1/projects/p1/builds", "/api/v1/projects/p1/builds/7/jobs/1/console"] {
		fixtures.allows(reader("vera"), "GET", path, "global_token.read")
	}
}

test_every_safe_method_reads if {
	every method in ["GET", "HEAD", "OPTIONS"] {
		fixtures.allows(reader("vera"), method, "/api/v1/projects/p1/builds", "global_token.read")
	}
}

test_every_other_method_is_a_write if {
	every method in ["POST", "PUT", "PATCH", "DELETE", "TRACE", "CONNECT", "PURGE", "PROPFIND", ""] {
		fixtures.denies(reader("dev"), method, "/api/v1/projects/p1/builds", "global_token.write_needs_scope_push")
	}
}

test_the_message_for_a_missing_scope_is_exact if {
	answer := fixtures.decision(fixtures.input_of(reader("dev"), "POST", "/api/v1/projects/p1/builds", {}))
	answer.message == "this token may read; writing needs scope_push"
}

test_somebody_else_does_not_read if fixtures.denies(reader("eve"), "GET", "/api/v1/projects/p1/builds", "global_token.not_a_collaborator")

test_a_collaborator_elsewhere_does_not_read if fixtures.denies(reader("dev"), "GET", "/api/v1/projects/p2", "global_token.not_a_collaborator")

test_a_project_that_does_not_exist_is_not_read if fixtures.denies(reader("dev"), "GET", "/api/v1/projects/none", "global_token.not_a_collaborator")

test_a_public_project_gives_nothing_extra if fixtures.denies(reader("dev"), "GET", "/api/v1/projects/open", "global_token.not_a_collaborator")

test_a_token_without_user_reads_nothing if {
	every path in ["/api/v1/projects", "/api/v1/projects/p1", "/api/v1/projects/open"] {
		fixtures.denies(writer(null), "GET", path, "global_token.no_user")
	}
}

test_a_token_that_lacks_its_fields_reads_nothing if {
	fixtures.denies({"kind": "global"}, "GET", "/api/v1/projects/p1", "global_token.no_user")
	fixtures.denies({"kind": "global", "user_id": "dev"}, "GET", "/api/v1/projects/p1", "global_token.project_not_listed")
}

test_scope_push_writes if {
	every method in ["POST", "PUT", "PATCH", "DELETE"] {
		fixtures.allows(writer("dev"), method, "/api/v1/projects/p1/builds", "global_token.write")
	}
}

test_scope_push_must_be_true_itself if {
	every value in [false, null, "true", 1] {
		fixtures.denies(fixtures.token_with("global", "dev", {"scope_push": value}), "POST", "/api/v1/projects/p1/builds", "global_token.write_needs_scope_push")
	}
}

test_scope_push_is_not_membership if fixtures.denies(writer("eve"), "POST", "/api/v1/projects/p1/builds", "global_token.not_a_collaborator")

test_a_viewer_does_not_write if fixtures.denies(writer("vera"), "POST", "/api/v1/projects/p1/builds", "global_token.role_may_not_write")

test_a_viewer_reads_with_a_writing_token if fixtures.allows(writer("vera"), "GET", "/api/v1/projects/p1/builds", "global_token.read")

test_allow_trigger_is_not_scope_push if {
	caller := fixtures.token_with("global", "dev", {"allow_trigger": true})
	fixtures.denies(caller, "POST", "/api/v1/projects/p1/trigger", "global_token.write_needs_scope_push")
}

test_reserved_sections_are_never_reached if {
	every section in ["secrets", "sshkeys", "ssh-keys", "ssh_keys", "tokens", "vault", "collaborators"] {
		fixtures.denies(writer("olga"), "GET", sprintf("/api/v1/projects/p1/%s", [section]), "global_token.reserved_section")
		fixtures.denies(writer("olga"), "POST", sprintf("/api/v1/projects/p1/%s/1", [section]), "global_token.reserved_section")
	}
}

test_another_case_does_not_open_a_reserved_section if {
	every section in ["Secrets", "SSHKEYS", "Ssh-Keys", "ToKens"] {
		fixtures.denies(writer("olga"), "GET", sprintf("/api/v1/projects/p1/%s", [section]), "global_token.reserved_section")
	}
}

test_settings_are_not_reserved if fixtures.allows(reader("vera"), "GET", "/api/v1/projects/p1/settings", "global_token.read")

test_a_project_named_like_a_section_is_readable if fixtures.allows(reader("dev"), "GET", "/api/v1/projects/secrets/builds", "global_token.read")

test_a_reserved_word_deeper_is_a_name if fixtures.allows(reader("dev"), "GET", "/api/v1/projects/p1/builds/secrets", "global_token.read")

test_cron_jobs_are_read_by_those_who_manage if {
	every user in ["adam", "olga"] {
		fixtures.allows(reader(user), "GET", "/api/v1/projects/p1/cronjobs", "global_token.cron_read")
	}
}

test_cron_jobs_are_not_for_developers if {
	every section in ["cronjobs", "cron-jobs", "cron_jobs", "CronJobs"] {
		fixtures.denies(writer("dev"), "GET", sprintf("/api/v1/projects/p1/%s", [section]), "global_token.cron_needs_administrator")
		fixtures.denies(writer("dev"), "POST", sprintf("/api/v1/projects/p1/%s", [section]), "global_token.cron_needs_administrator")
	}
}

test_cron_jobs_are_changed_with_scope_push if fixtures.allows(writer("adam"), "DELETE", "/api/v1/projects/p1/cronjobs/1", "global_token.cron_write")

test_cron_jobs_are_not_changed_without if fixtures.denies(reader("adam"), "POST", "/api/v1/projects/p1/cronjobs", "global_token.write_needs_scope_push")

test_the_list_is_read if fixtures.allows(reader("eve"), "GET", "/api/v1/projects", "global_token.list")

test_the_list_is_not_changed if {
	every method in ["POST", "DELETE", "PUT"] {
		fixtures.denies(writer("root"), method, "/api/v1/projects", "global_token.list_is_read_only")
	}
}

test_nothing_outside_projects_whoever_the_user_is if {
	every path in ["/", "/api", "/api/v1", "/api/v1/admin", "/api/v1/admin/users", "/api/v1/user", "/v1/tokens", "/mcp", "/api/v1/mcp/tokens", "/api/v1/mcp/projects/p1/builds", "/api/v2/projects/p1", "/x/api/v1/projects/p1", "/API/v1/projects/p1", "/api/v1/Projects/p1", "/x/v1/projects/p1/builds", "/api/x/projects/p1/builds", "/api/v1/x/p1/builds"] {
		fixtures.denies(writer("root"), "GET", path, "global_token.outside_projects")
	}
}

test_the_owner_removes_the_project if fixtures.allows(writer("olga"), "DELETE", "/api/v1/projects/p1", "global_token.remove")

test_nobody_else_removes_the_project if {
	every user in ["dev", "adam"] {
		fixtures.denies(writer(user), "DELETE", "/api/v1/projects/p1", "global_token.removal_needs_owner")
		fixtures.denies(writer(user), "PURGE", "/api/v1/projects/p1", "global_token.removal_needs_owner")
	}
}

test_a_developer_edits_the_project if fixtures.allows(writer("dev"), "PATCH", "/api/v1/projects/p1", "global_token.write")

test_the_owner_does_not_remove_without_scope_push if fixtures.denies(reader("olga"), "DELETE", "/api/v1/projects/p1", "global_token.write_needs_scope_push")

test_a_list_of_projects_confines_it if {
	fixtures.allows(listing("dev", {"p1": null}), "GET", "/api/v1/projects/p1", "global_token.read")
	fixtures.denies(listing("dev", {"p2": null}), "GET", "/api/v1/projects/p1", "global_token.project_not_listed")
	fixtures.denies(listing("dev", {}), "GET", "/api/v1/projects/p1", "global_token.project_not_listed")
}

test_a_list_is_not_membership if fixtures.denies(listing("eve", {"p1": null}), "GET", "/api/v1/projects/p1", "global_token.not_a_collaborator")

test_a_listed_project_expires if {
	fixtures.allows(listing("dev", {"p1": fixtures.now + 1}), "GET", "/api/v1/projects/p1", "global_token.read")
	fixtures.denies(listing("dev", {"p1": fixtures.now}), "GET", "/api/v1/projects/p1", "global_token.project_expired")
}

test_a_list_confines_writing_as_well if {
	caller := fixtures.token_with("global", "olga", {"scope_push": true, "projects": {"p2": null}})
	fixtures.denies(caller, "POST", "/api/v1/projects/p1/builds", "global_token.project_not_listed")
	fixtures.denies(caller, "DELETE", "/api/v1/projects/p1", "global_token.project_not_listed")
	fixtures.denies(caller, "GET", "/api/v1/projects/p1/cronjobs", "global_token.project_not_listed")
	fixtures.denies(caller, "POST", "/api/v1/projects/p1/cronjobs", "global_token.project_not_listed")
}

test_the_project_comes_before_scope_push if {
	path := "/api/v1/projects/p1/builds"
	fixtures.denies(reader("eve"), "POST", path, "global_token.not_a_collaborator")
	fixtures.denies(listing("dev", {"p2": null}), "POST", path, "global_token.project_not_listed")
}

test_nothing_outside_projects_is_written if {
	every path in ["/api/v2/projects/p1/builds", "/x/y/z/p1/builds", "/api/v1/Projects/p1/builds", "/api/v1/mcp/p1/builds"] {
		fixtures.denies(writer("dev"), "POST", path, "global_token.outside_projects")
	}
}

test_a_confined_token_does_not_list_all_projects if {
	fixtures.denies(fixtures.token_with("global", "dev", {"projects": {}}), "GET", "/api/v1/projects", "global_token.project_not_listed")
	fixtures.denies(fixtures.token_with("global", "dev", {"projects": {"p1": null}}), "GET", "/api/v1/projects", "global_token.project_not_listed")
	fixtures.allows(fixtures.token_with("global", "dev", {"projects": null}), "GET", "/api/v1/projects", "global_token.list")
}
