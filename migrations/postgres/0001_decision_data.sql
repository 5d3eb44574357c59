-- The decision data: what a decision may know. Other programs write these tables directly, so every
-- rule that a decision relies on is a constraint here, and the constraints have names that say what
-- is wrong. The twin of this file is migrations/sqlite/0001_decision_data.sql.
--
-- Every foreign key carries the tenant. A row that joins two tenants therefore has nothing to refer
-- to, whoever writes it.

create table tenants (
    id text primary key
        -- The rule of types::TenantId. "C": what a-z means must not hang on the database's locale.
        constraint tenants_id_is_a_tenant_id check (id collate "C" ~ '^[a-z0-9][a-z0-9_-]{0,62}$')
);

-- The tenant of every row that names none.
insert into tenants (id) values ('default');

create table users (
    tenant   text    not null default 'default' references tenants (id) on delete cascade,
    id       text    not null
        constraint users_id_has_1_to_256_characters check (char_length(id) between 1 and 256),
    role     text    not null default 'user'
        constraint users_role_is_known check (role in ('user', 'viewer', 'admin')),
    disabled boolean not null default false,
    primary key (tenant, id)
);

create table projects (
    tenant text    not null default 'default' references tenants (id) on delete cascade,
    id     text    not null
        constraint projects_id_has_1_to_256_characters check (char_length(id) between 1 and 256),
    name   text    not null default '',
    public boolean not null default false,
    primary key (tenant, id)
);

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
);
-- Removing a user finds its rows by this.
create index collaborators_by_user on collaborators (tenant, user_id);

create table tokens (
    id            text primary key
        constraint tokens_id_has_1_to_256_characters check (char_length(id) between 1 and 256),
    -- NULL is a gateway of all tenants, see tokens_only_a_gateway_has_no_tenant.
    tenant        text default 'default' references tenants (id) on delete cascade,
    kind          text not null
        constraint tokens_kind_is_known check (kind in ('global', 'project', 'mcp', 'admin', 'gateway')),
    name          text not null
        constraint tokens_name_has_1_to_128_characters check (char_length(name) between 1 and 128),
    -- The only form in which a token is stored.
    sha256        text not null
        constraint tokens_sha256_is_unique unique
        constraint tokens_sha256_is_64_lower_case_hex_digits check (sha256 collate "C" ~ '^[0-9a-f]{64}$'),
    -- The first characters of the token, for people who look for it in a list.
    prefix        text
        constraint tokens_prefix_has_1_to_12_characters check (char_length(prefix) between 1 and 12),
    user_id       text,
    project_id    text,
    scope_pull    boolean not null default false,
    scope_push    boolean not null default false,
    allow_trigger boolean not null default false,
    -- NULL: not limited to a list. Else an array of project ids, or an object from project id to
    -- its expiry (RFC 3339) or null.
    projects      jsonb
        constraint tokens_projects_is_an_array_or_an_object
        check (jsonb_typeof(projects) in ('array', 'object')),
    -- NULL: not limited to a list.
    tools         jsonb
        constraint tokens_tools_is_an_array check (jsonb_typeof(tools) = 'array'),
    expires_at    timestamptz constraint tokens_expires_at_is_finite check (isfinite(expires_at)),
    -- A revoked token keeps its row, so that an answer and the audit log can say what it was.
    revoked_at    timestamptz constraint tokens_revoked_at_is_finite check (isfinite(revoked_at)),
    created_at    timestamptz not null default now()
        constraint tokens_created_at_is_finite check (isfinite(created_at)),
    last_used_at  timestamptz constraint tokens_last_used_at_is_finite check (isfinite(last_used_at)),
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
);
create index tokens_by_user on tokens (tenant, user_id);
create index tokens_by_project on tokens (tenant, project_id);
-- The order of lists.
create index tokens_by_age on tokens (created_at, id);

create table upstreams (
    tenant     text    not null default 'default' references tenants (id) on delete cascade,
    id         text    not null
        constraint upstreams_id_has_1_to_256_characters check (char_length(id) between 1 and 256),
    url        text    not null
        constraint upstreams_url_has_1_to_2048_characters check (char_length(url) between 1 and 2048),
    -- Every token of the tenant may reach it, without a grant.
    allow_all  boolean not null default false,
    credential text    not null default 'none'
        constraint upstreams_credential_is_known
        check (credential in ('none', 'shared', 'per_user', 'per_token')),
    -- The header that carries the credential, and what stands in it. The rule is RFC 9110's for a
    -- header's name: anything else could smuggle in a second header.
    header     text    not null default 'Authorization'
        constraint upstreams_header_is_a_header_name
        check (header collate "C" ~ '^[!#$%&''*+.^_`|~0-9A-Za-z-]+$' and char_length(header) <= 256),
    format     text    not null default 'Bearer {token}'
        constraint upstreams_format_has_a_place_for_the_token
        check (format like '%{token}%' and char_length(format) <= 1024)
        constraint upstreams_format_is_one_line check (format !~ '[\r\n]'),
    primary key (tenant, id)
);

create table grants (
    tenant      text not null default 'default',
    token_id    text not null,
    upstream_id text not null,
    primary key (tenant, token_id, upstream_id),
    foreign key (tenant, token_id) references tokens (tenant, id) on delete cascade,
    foreign key (tenant, upstream_id) references upstreams (tenant, id) on delete cascade
);
create index grants_by_upstream on grants (tenant, upstream_id);

-- The number of the last change. One row, always.
create table data_revision (
    only_row integer primary key default 1 constraint data_revision_has_one_row check (only_row = 1),
    revision bigint  not null
        constraint data_revision_counts_upwards_from_0 check (revision >= 0)
);
insert into data_revision (revision) values (0);
