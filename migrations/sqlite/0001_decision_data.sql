-- The decision data: what a decision may know. Other programs write these tables directly, so every
-- rule that a decision relies on is a constraint here, and the constraints have names that say what
-- is wrong. The twin of this file is migrations/postgres/0001_decision_data.sql.
--
-- Every foreign key carries the tenant. A row that joins two tenants therefore has nothing to refer
-- to, whoever writes it. (SQLite checks foreign keys for connections that ask for it: regate does,
-- another program must say `pragma foreign_keys = on`.)
--
-- SQLite has no type for these, so constraints stand in for one:
-- a boolean is 0 or 1; a time is RFC 3339 text with an offset, which unixepoch() can read; and where a
-- rule names an alphabet, the length is counted in bytes too, since length() and glob stop at a NUL.

create table tenants (
    id text not null primary key
        -- The rule of types::TenantId.
        constraint tenants_id_is_a_tenant_id
        check (id glob '[a-z0-9]*' and id not glob '*[^a-z0-9_-]*'
               and length(id) <= 63 and length(cast(id as blob)) = length(id))
) strict, without rowid;

-- The tenant of every row that names none.
insert into tenants (id) values ('default');

create table users (
    tenant   text    not null default 'default' references tenants (id) on delete cascade,
    id       text    not null
        constraint users_id_has_1_to_256_characters check (length(id) between 1 and 256),
    role     text    not null default 'user'
        constraint users_role_is_known check (role in ('user', 'viewer', 'admin')),
    disabled integer not null default 0
        constraint users_disabled_is_0_or_1 check (disabled in (0, 1)),
    primary key (tenant, id)
) strict, without rowid;

create table projects (
    tenant text    not null default 'default' references tenants (id) on delete cascade,
    id     text    not null
        constraint projects_id_has_1_to_256_characters check (length(id) between 1 and 256),
    name   text    not null default '',
    public integer not null default 0
        constraint projects_public_is_0_or_1 check (public in (0, 1)),
    primary key (tenant, id)
) strict, without rowid;

create table collaborators (
    tenant     text not null default 'default',
    project_id text not null,
    user_id    text not null,
    role       text not null
        constraint collaborators_role_is_known
        check (role in ('viewer', 'developer', 'administrator', 'owner')),
    primary key (tenant, project_id, user_id),
    foreign key (tenant, project_id) references projects (tenant, id) on delete cascade,
    foreign key (tenant, user_id) references users (tenant, id) on delete cascade
) strict, without rowid;
-- Removing a user finds its rows by this.
create index collaborators_by_user on collaborators (tenant, user_id);

create table tokens (
    id            text not null primary key
        constraint tokens_id_has_1_to_256_characters check (length(id) between 1 and 256),
    -- NULL is a gateway of all tenants, see tokens_only_a_gateway_has_no_tenant.
    tenant        text default 'default' references tenants (id) on delete cascade,
    kind          text not null
        constraint tokens_kind_is_known check (kind in ('global', 'project', 'mcp', 'admin', 'gateway')),
    name          text not null
        constraint tokens_name_has_1_to_128_characters check (length(name) between 1 and 128),
    -- The only form in which a token is stored.
    sha256        text not null
        constraint tokens_sha256_is_unique unique
        constraint tokens_sha256_is_64_lower_case_hex_digits
        check (sha256 not glob '*[^0-9a-f]*' and length(sha256) = 64 and length(cast(sha256 as blob)) = 64),
    -- The first characters of the token, for people who look for it in a list.
    prefix        text
        constraint tokens_prefix_has_1_to_12_characters check (length(prefix) between 1 and 12),
    user_id       text,
    project_id    text,
    scope_pull    integer not null default 0
        constraint tokens_scope_pull_is_0_or_1 check (scope_pull in (0, 1)),
    scope_push    integer not null default 0
        constraint tokens_scope_push_is_0_or_1 check (scope_push in (0, 1)),
    allow_trigger integer not null default 0
        constraint tokens_allow_trigger_is_0_or_1 check (allow_trigger in (0, 1)),
    -- NULL: not limited to a list. Else an array of project ids, or an object from project id to
    -- its expiry (RFC 3339) or null.
    projects      text
        constraint tokens_projects_is_an_array_or_an_object
        check (case when json_valid(projects) then json_type(projects) in ('array', 'object')
                    else projects is null end),
    -- NULL: not limited to a list.
    tools         text
        constraint tokens_tools_is_an_array
        check (case when json_valid(tools) then json_type(tools) = 'array' else tools is null end),
    expires_at    text
        constraint tokens_expires_at_is_a_time
        check (expires_at is null or (
            expires_at glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]*'
            and (expires_at glob '*Z' or expires_at glob '*[+-][0-9][0-9]:[0-9][0-9]')
            and unixepoch(expires_at) is not null)),
    -- A revoked token keeps its row, so that an answer and the audit log can say what it was.
    revoked_at    text
        constraint tokens_revoked_at_is_a_time
        check (revoked_at is null or (
            revoked_at glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]*'
            and (revoked_at glob '*Z' or revoked_at glob '*[+-][0-9][0-9]:[0-9][0-9]')
            and unixepoch(revoked_at) is not null)),
    created_at    text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
        constraint tokens_created_at_is_a_time
        check (created_at glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]*'
               and (created_at glob '*Z' or created_at glob '*[+-][0-9][0-9]:[0-9][0-9]')
               and unixepoch(created_at) is not null),
    last_used_at  text
        constraint tokens_last_used_at_is_a_time
        check (last_used_at is null or (
            last_used_at glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]*'
            and (last_used_at glob '*Z' or last_used_at glob '*[+-][0-9][0-9]:[0-9][0-9]')
            and unixepoch(last_used_at) is not null)),
    -- What grants refer to.
    constraint tokens_id_within_its_tenant unique (tenant, id),
    constraint tokens_global_needs_a_user check (kind <> 'global' or user_id is not null),
    constraint tokens_project_needs_a_project check (kind <> 'project' or project_id is not null),
    constraint tokens_gateway_has_neither_user_nor_project
        check (kind <> 'gateway' or (user_id is null and project_id is null)),
    -- A foreign key of several columns is not checked when one of them is NULL: without a tenant, a
    -- user or a project could be anybody's.
    constraint tokens_only_a_gateway_has_no_tenant
        check (tenant is not null or (kind = 'gateway' and user_id is null and project_id is null)),
    foreign key (tenant, user_id) references users (tenant, id) on delete cascade,
    foreign key (tenant, project_id) references projects (tenant, id) on delete cascade
) strict;
create index tokens_by_user on tokens (tenant, user_id);
create index tokens_by_project on tokens (tenant, project_id);
-- The order of lists.
create index tokens_by_age on tokens (created_at, id);

create table upstreams (
    tenant     text    not null default 'default' references tenants (id) on delete cascade,
    id         text    not null
        constraint upstreams_id_has_1_to_256_characters check (length(id) between 1 and 256),
    url        text    not null
        constraint upstreams_url_has_1_to_2048_characters check (length(url) between 1 and 2048),
    -- Every token of the tenant may reach it, without a grant.
    allow_all  integer not null default 0
        constraint upstreams_allow_all_is_0_or_1 check (allow_all in (0, 1)),
    credential text    not null default 'none'
        constraint upstreams_credential_is_known
        check (credential in ('none', 'shared', 'per_user', 'per_token')),
    -- The header that carries the credential, and what stands in it. The rule is RFC 9110's for a
    -- header's name: anything else could smuggle in a second header.
    header     text    not null default 'Authorization'
        constraint upstreams_header_is_a_header_name
        check (header not glob '*[^!#$%&''*+.^_`|~0-9A-Za-z-]*'
               and length(header) between 1 and 256 and length(cast(header as blob)) = length(header)),
    format     text    not null default 'Bearer {token}'
        constraint upstreams_format_has_a_place_for_the_token
        check (format glob '*{token}*' and length(format) <= 1024)
        constraint upstreams_format_is_one_line
        check (instr(format, char(10)) = 0 and instr(format, char(13)) = 0),
    primary key (tenant, id)
) strict, without rowid;

create table grants (
    tenant      text not null default 'default',
    token_id    text not null,
    upstream_id text not null,
    primary key (tenant, token_id, upstream_id),
    foreign key (tenant, token_id) references tokens (tenant, id) on delete cascade,
    foreign key (tenant, upstream_id) references upstreams (tenant, id) on delete cascade
) strict, without rowid;
create index grants_by_upstream on grants (tenant, upstream_id);

-- The number of the last change. One row, always.
create table data_revision (
    only_row integer primary key default 1 constraint data_revision_has_one_row check (only_row = 1),
    revision integer not null
        constraint data_revision_counts_upwards_from_0 check (revision >= 0)
) strict;
insert into data_revision (revision) values (0);
