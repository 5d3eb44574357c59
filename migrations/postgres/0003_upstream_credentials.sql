-- The credentials that go on to upstreams, sealed, and the consent flows that give them; and what a change of
-- grants does to both. The twin of this file is migrations/sqlite/0003_upstream_credentials.sql.
--
-- What is sealed is base64 of a nonce and a ciphertext; key_id says which key opens it. No secret is here.

-- What an upstream wants, beside one header with one token.
alter table upstreams
    -- The headers whose values a credential gives as they are. NULL: `header` and `format`.
    add column value_headers jsonb
        constraint upstreams_value_headers_are_lower_case_header_names check (
            case when jsonb_typeof(value_headers) = 'array'
                then jsonb_array_length(value_headers) between 1 and 32 and char_length(cast(value_headers as text)) <= 16384
                    and not jsonb_path_exists(value_headers, 'strict $[*] ? (@.type() != "string" ||
                        !(@ like_regex "^[-!#$%&''*+.^_`|~0123456789abcdefghijklmnopqrstuvwxyz]+$"))')
                else value_headers is null end),
    -- The caller's headers that may pass. NULL: all but credentials.
    add column pass_headers jsonb
        constraint upstreams_pass_headers_are_lower_case_header_names check (
            case when jsonb_typeof(pass_headers) = 'array'
                then jsonb_array_length(pass_headers) <= 64 and char_length(cast(pass_headers as text)) <= 32768
                    and not jsonb_path_exists(pass_headers, 'strict $[*] ? (@.type() != "string" ||
                        !(@ like_regex "^[-!#$%&''*+.^_`|~0123456789abcdefghijklmnopqrstuvwxyz]+$"))')
                else pass_headers is null end),
    -- The client that regate is at the upstream's authorization server. NULL: nobody consents there.
    add column oauth jsonb
        constraint upstreams_oauth_is_an_object check (jsonb_typeof(oauth) = 'object')
        constraint upstreams_oauth_is_small check (char_length(cast(oauth as text)) <= 16384),
    -- The caller's own credential never goes on to an upstream that gets one from regate.
    add constraint upstreams_with_a_credential_pass_no_authorization check (
        credential = 'none' or pass_headers is null or not (pass_headers ? 'authorization')),
    -- What regate sets there comes from nobody else.
    add constraint upstreams_with_a_credential_pass_none_of_its_headers check (
        credential = 'none' or pass_headers is null or (
            not (pass_headers ? lower(header collate "C"))
            and (value_headers is null or not jsonb_path_exists(
                pass_headers, '$[*] ? (@ == $own.names[*])', jsonb_set('{"own": {}}', '{own,names}', value_headers))))),
    -- A program on the gateway's own machine cannot be given one by a header. Rows that are older than this rule may
    -- break it: they have no credential, so what they ask for is denied, and whoever changes them sets them right.
    add constraint upstreams_one_with_a_credential_is_reached_by_http check (
        credential = 'none' or url ~* '^https?://[^/]') not valid;

-- What regate shows to an upstream's authorization server.
create table upstream_client_secrets (
    tenant      text not null default 'default',
    upstream_id text not null,
    key_id      text not null
        constraint upstream_client_secrets_key_id_is_16_hex_digits check (key_id collate "C" ~ '^[0-9a-f]{16}$'),
    sealed      text not null
        constraint upstream_client_secrets_sealed_is_base64 check (sealed collate "C" ~ '^[A-Za-z0-9+/]+={0,2}$')
        constraint upstream_client_secrets_sealed_is_at_most_64_kib check (char_length(sealed) <= 87384),
    primary key (tenant, upstream_id),
    foreign key (tenant, upstream_id) references upstreams (tenant, id) on delete cascade
);

create table upstream_credentials (
    tenant         text        not null default 'default',
    upstream_id    text        not null,
    holder         text        not null
        constraint upstream_credentials_holder_is_known check (holder in ('shared', 'user', 'token')),
    -- Empty for a shared one.
    holder_id      text        not null default '',
    -- The holder once more, for a foreign key of its own.
    user_id        text,
    token_id       text,
    state          text        not null default 'active'
        constraint upstream_credentials_state_is_known
        check (state in ('active', 'orphaned', 'needs_reauth', 'needs_update')),
    -- A token for the upstream's `header` and `format`, or values of headers, which go on as they are.
    form           text        not null default 'token'
        constraint upstream_credentials_form_is_known check (form in ('token', 'headers')),
    -- The headers whose values it has, in lower case.
    header_names   jsonb       not null default '[]'
        constraint upstream_credentials_header_names_is_an_array check (jsonb_typeof(header_names) = 'array')
        constraint upstream_credentials_header_names_is_small
        check (char_length(cast(header_names as text)) <= 16384),
    key_id         text        not null
        constraint upstream_credentials_key_id_is_16_hex_digits check (key_id collate "C" ~ '^[0-9a-f]{16}$'),
    sealed         text        not null
        constraint upstream_credentials_sealed_is_base64 check (sealed collate "C" ~ '^[A-Za-z0-9+/]+={0,2}$')
        constraint upstream_credentials_sealed_is_at_most_64_kib check (char_length(sealed) <= 87384),
    -- What it is renewed with.
    refresh_key_id text
        constraint upstream_credentials_refresh_key_id_is_16_hex_digits
        check (refresh_key_id collate "C" ~ '^[0-9a-f]{16}$'),
    sealed_refresh text
        constraint upstream_credentials_sealed_refresh_is_base64
        check (sealed_refresh collate "C" ~ '^[A-Za-z0-9+/]+={0,2}$')
        constraint upstream_credentials_sealed_refresh_is_at_most_64_kib check (char_length(sealed_refresh) <= 87384),
    expires_at     timestamptz constraint upstream_credentials_expires_at_is_finite check (isfinite(expires_at)),
    created_at     timestamptz not null default now()
        constraint upstream_credentials_created_at_is_finite check (isfinite(created_at)),
    updated_at     timestamptz not null default now()
        constraint upstream_credentials_updated_at_is_finite check (isfinite(updated_at)),
    -- Since when its token lacks the grant.
    orphaned_at    timestamptz constraint upstream_credentials_orphaned_at_is_finite check (isfinite(orphaned_at)),
    -- Another number whenever the credential is another.
    version        bigint      not null default 1,
    -- Not to be renewed before: somebody is at it, or it failed a while ago.
    renew_after    timestamptz constraint upstream_credentials_renew_after_is_finite check (isfinite(renew_after)),
    primary key (tenant, upstream_id, holder, holder_id),
    constraint upstream_credentials_belong_to_their_holder check (
        case holder
            when 'shared' then holder_id = '' and user_id is null and token_id is null
            when 'user' then user_id is not null and user_id = holder_id and token_id is null
            when 'token' then token_id is not null and token_id = holder_id and user_id is null
        end),
    constraint upstream_credentials_only_of_tokens_are_orphaned check (state <> 'orphaned' or holder = 'token'),
    constraint upstream_credentials_orphaned_ones_say_since_when
        check ((state = 'orphaned') = (orphaned_at is not null)),
    constraint upstream_credentials_refresh_is_whole
        check ((sealed_refresh is null) = (refresh_key_id is null)),
    foreign key (tenant, upstream_id) references upstreams (tenant, id) on delete cascade,
    foreign key (tenant, user_id) references users (tenant, id) on delete cascade,
    foreign key (tenant, token_id) references tokens (tenant, id) on delete cascade
);
create index upstream_credentials_by_user on upstream_credentials (tenant, user_id);
create index upstream_credentials_by_token on upstream_credentials (tenant, token_id);
create index upstream_credentials_to_renew on upstream_credentials (expires_at) where sealed_refresh is not null;
create index upstream_credentials_to_sweep on upstream_credentials (orphaned_at) where state = 'orphaned';

create table credential_flows (
    -- Nobody can guess it.
    id              text primary key
        constraint credential_flows_id_has_1_to_256_characters check (char_length(id) between 1 and 256),
    tenant          text        not null default 'default',
    upstream_id     text        not null,
    holder          text        not null
        constraint credential_flows_holder_is_known check (holder in ('shared', 'user', 'token')),
    holder_id       text        not null default '',
    user_id         text,
    token_id        text,
    -- Who may complete it.
    begun_kind      text        not null,
    begun_id        text        not null,
    -- Of a flow through an authorization server.
    state_sha256    text
        constraint credential_flows_state_sha256_is_64_lower_case_hex_digits
        check (state_sha256 collate "C" ~ '^[0-9a-f]{64}$'),
    verifier_key_id text
        constraint credential_flows_verifier_key_id_is_16_hex_digits
        check (verifier_key_id collate "C" ~ '^[0-9a-f]{16}$'),
    sealed_verifier text
        constraint credential_flows_sealed_verifier_is_base64
        check (sealed_verifier collate "C" ~ '^[A-Za-z0-9+/]+={0,2}$')
        constraint credential_flows_sealed_verifier_is_at_most_64_kib check (char_length(sealed_verifier) <= 87384),
    redirect_uri    text,
    created_at      timestamptz not null default now()
        constraint credential_flows_created_at_is_finite check (isfinite(created_at)),
    expires_at      timestamptz not null
        constraint credential_flows_expires_at_is_finite check (isfinite(expires_at)),
    -- It is being completed: it is good for one time.
    taken_at        timestamptz constraint credential_flows_taken_at_is_finite check (isfinite(taken_at)),
    constraint credential_flows_belong_to_their_holder check (
        case holder
            when 'shared' then holder_id = '' and user_id is null and token_id is null
            when 'user' then user_id is not null and user_id = holder_id and token_id is null
            when 'token' then token_id is not null and token_id = holder_id and user_id is null
        end),
    constraint credential_flows_verifier_is_whole
        check ((sealed_verifier is null) = (verifier_key_id is null)),
    foreign key (tenant, upstream_id) references upstreams (tenant, id) on delete cascade,
    foreign key (tenant, user_id) references users (tenant, id) on delete cascade,
    foreign key (tenant, token_id) references tokens (tenant, id) on delete cascade
);
create index credential_flows_by_upstream on credential_flows (tenant, upstream_id, holder, holder_id);
create index credential_flows_by_user on credential_flows (tenant, user_id);
create index credential_flows_by_token on credential_flows (tenant, token_id);
create index credential_flows_by_beginner on credential_flows (tenant, begun_kind, begun_id);
create index credential_flows_to_sweep on credential_flows (expires_at);
-- The order of lists.
create index credential_flows_by_age on credential_flows (tenant, created_at, id);

-- What a token may reach. The same predicate serves decisions (TenantData::granted in src/decision).
create view token_reach as
    select tenant, token_id, upstream_id from only grants
    union all
    select t.tenant, t.id, u.id
        from only upstreams as u join only tokens as t on t.tenant = u.tenant where u.allow_all;

-- Reconciliation: credentials and flows follow what tokens may reach, in the transaction that changes it, whoever
-- makes the change.
--
-- Whether one of a token and an upstream may be used hangs on their grant and on the upstream's mark. Whoever
-- changes either, or stores such a credential, holds the upstream's row from before it looks to the end of its
-- transaction, and looks in a statement that begins when it has the row: so of any two the second sees what the
-- first has done. (At repeatable read it might not see it; there the row of data_revision makes it fail.)
--
-- The order in which rows are locked: users, tokens, upstreams by tenant and id, what belongs to upstreams, and the
-- row of data_revision last. Keys of rows that are only referred to are locked for share, which none of this
-- conflicts with.

-- Brings what is held by tokens (all of them where of_tokens is NULL) for these upstreams, whose rows the caller
-- holds, to what the tokens may reach. A token whose row is gone is being removed with all that is its own.
create function reconcile_credentials(of_tenants text[], of_upstreams text[], of_tokens text[])
returns void language plpgsql security definer as $$
begin
    delete from only credential_flows as f
        using unnest(of_tenants, of_upstreams) as held (tenant, id)
        where f.holder = 'token' and f.tenant = held.tenant and f.upstream_id = held.id
            and (of_tokens is null or f.token_id = any (of_tokens))
            and not exists (select from token_reach as reach where reach.tenant = f.tenant
                and reach.token_id = f.token_id and reach.upstream_id = f.upstream_id);
    update only upstream_credentials as c
        set state = case c.state when 'active' then 'orphaned' else 'active' end,
            orphaned_at = case c.state when 'active' then now() end
        from unnest(of_tenants, of_upstreams) as held (tenant, id)
        where c.holder = 'token' and c.tenant = held.tenant and c.upstream_id = held.id
            and (of_tokens is null or c.token_id = any (of_tokens))
            and exists (select from only tokens as t where t.tenant = c.tenant and t.id = c.token_id)
            -- The other states are nothing that a grant could mend.
            and c.state = case when exists (select from token_reach as reach where reach.tenant = c.tenant
                and reach.token_id = c.token_id and reach.upstream_id = c.upstream_id)
                then 'orphaned' else 'active' end;
end
$$;

-- After a change of grants: what the changed tokens hold, for whichever upstream.
create function reconcile_after_grants() returns trigger language plpgsql security definer as $$
declare
    changed_tenants   text[];
    changed_upstreams text[];
    changed_tokens    text[];
    held_tenants      text[];
    held_upstreams    text[];
    more_tenants      text[];
    more_upstreams    text[];
begin
    if tg_relid <> cast('grants' as regclass) then
        raise exception 'reconcile_after_grants is for the table of grants';
    end if;
    if tg_op = 'TRUNCATE' then
        select array_agg(held.tenant), array_agg(held.id) into held_tenants, held_upstreams
            from (select u.tenant, u.id from only upstreams as u
                  order by u.tenant, u.id for no key update of u) as held;
        perform reconcile_credentials(held_tenants, held_upstreams, null);
        return null;
    elsif tg_op = 'INSERT' then
        select array_agg(tenant), array_agg(upstream_id), array_agg(token_id)
            into changed_tenants, changed_upstreams, changed_tokens from new_rows;
    elsif tg_op = 'DELETE' then
        select array_agg(tenant), array_agg(upstream_id), array_agg(token_id)
            into changed_tenants, changed_upstreams, changed_tokens from old_rows;
    else
        select array_agg(tenant), array_agg(upstream_id), array_agg(token_id)
            into changed_tenants, changed_upstreams, changed_tokens
            from (select * from old_rows union all select * from new_rows) as changed;
    end if;
    if changed_tokens is null then
        return null;
    end if;
    select array_agg(held.tenant), array_agg(held.id) into held_tenants, held_upstreams
        from (select u.tenant, u.id from only upstreams as u
              where (u.tenant, u.id) in (select c.tenant, c.id from unnest(changed_tenants, changed_upstreams) as c (tenant, id))
              order by u.tenant, u.id for no key update of u) as held;
    -- The tokens' other upstreams are looked at as well, should what is stored for them be wrong; only then is one held.
    -- Nobody is waited for: whoever holds one of them looks for himself.
    select array_agg(held.tenant), array_agg(held.id) into more_tenants, more_upstreams
        from (select u.tenant, u.id from only upstreams as u
              where (u.tenant, u.id) in (
                  select c.tenant, c.upstream_id from only upstream_credentials as c
                      where c.holder = 'token' and (c.tenant, c.token_id) in
                          (select t.tenant, t.id from unnest(changed_tenants, changed_tokens) as t (tenant, id))
                          and c.state = case when exists (select from token_reach as reach
                              where reach.tenant = c.tenant and reach.token_id = c.token_id
                              and reach.upstream_id = c.upstream_id) then 'orphaned' else 'active' end
                  union all select f.tenant, f.upstream_id from only credential_flows as f
                      where f.holder = 'token' and (f.tenant, f.token_id) in
                          (select t.tenant, t.id from unnest(changed_tenants, changed_tokens) as t (tenant, id))
                          and not exists (select from token_reach as reach where reach.tenant = f.tenant
                              and reach.token_id = f.token_id and reach.upstream_id = f.upstream_id))
              order by u.tenant, u.id for no key update of u skip locked) as held;
    perform reconcile_credentials(held_tenants || more_tenants, held_upstreams || more_upstreams, changed_tokens);
    return null;
end
$$;

-- After a change of upstreams, whose rows the change holds: what was given for another client, what all tokens hold for
-- those that are open to more or to fewer, and what everybody gave to those that now want something else.
create function reconcile_after_upstreams() returns trigger language plpgsql security definer as $$
declare
    changed_tenants   text[];
    changed_upstreams text[];
begin
    if tg_relid <> cast('upstreams' as regclass) then
        raise exception 'reconcile_after_upstreams is for the table of upstreams';
    end if;
    -- What was given for one client at one place is shown to no other: the client secret, what credentials are renewed
    -- with, and the codes of pending flows. What goes on stays as it is until it expires. With another version, a
    -- renewal that is under way writes nothing.
    select array_agg(n.tenant), array_agg(n.id) into changed_tenants, changed_upstreams
        from new_rows as n join old_rows as o on o.tenant = n.tenant and o.id = n.id
        where o.oauth is not null and (n.oauth is null
            or o.oauth -> 'token_endpoint' is distinct from n.oauth -> 'token_endpoint'
            or o.oauth -> 'client_id' is distinct from n.oauth -> 'client_id');
    if changed_upstreams is not null then
        delete from only upstream_client_secrets as s
            using unnest(changed_tenants, changed_upstreams) as changed (tenant, id)
            where s.tenant = changed.tenant and s.upstream_id = changed.id;
        delete from only credential_flows as f
            using unnest(changed_tenants, changed_upstreams) as changed (tenant, id)
            where f.tenant = changed.tenant and f.upstream_id = changed.id;
        update only upstream_credentials as c
            set sealed_refresh = null, refresh_key_id = null, renew_after = null, version = c.version + 1
            from unnest(changed_tenants, changed_upstreams) as changed (tenant, id)
            where c.tenant = changed.tenant and c.upstream_id = changed.id and c.sealed_refresh is not null;
    end if;
    select array_agg(n.tenant), array_agg(n.id) into changed_tenants, changed_upstreams
        from new_rows as n join old_rows as o on o.tenant = n.tenant and o.id = n.id
        where n.allow_all <> o.allow_all or n.value_headers is distinct from o.value_headers or n.header <> o.header;
    if changed_upstreams is null then
        return null;
    end if;
    update only upstream_credentials as c set state = 'needs_update', orphaned_at = null
        from unnest(changed_tenants, changed_upstreams) as changed (tenant, id)
            join only upstreams as u on u.tenant = changed.tenant and u.id = changed.id
        where c.tenant = changed.tenant and c.upstream_id = changed.id and c.state in ('active', 'orphaned')
            -- Values of headers fit an upstream that wants no others, be it in `value_headers` or in its one `header`.
            and not case when c.form = 'token' then u.value_headers is null
                else c.header_names @> coalesce(u.value_headers,
                    jsonb_build_array(lower(u.header collate "C"))) end;
    perform reconcile_credentials(changed_tenants, changed_upstreams, null);
    return null;
end
$$;

-- After a change of tokens: a revoked one never comes back, so neither does what it held; and what one user's token held
-- is no other user's.
create function reconcile_after_tokens() returns trigger language plpgsql security definer as $$
declare
    emptied text[];
begin
    if tg_relid <> cast('tokens' as regclass) then
        raise exception 'reconcile_after_tokens is for the table of tokens';
    end if;
    -- A gateway of all tenants holds nothing.
    select array_agg(n.id) into emptied
        from new_rows as n left join old_rows as o on o.id = n.id
        where n.tenant is not null and (n.revoked_at is not null and o.revoked_at is null
            or o.user_id is distinct from n.user_id);
    if emptied is null then
        return null;
    end if;
    perform from (select from only upstreams as u
        where (u.tenant, u.id) in (
            select c.tenant, c.upstream_id from only upstream_credentials as c join only tokens as t
                on t.tenant = c.tenant and t.id = c.token_id where t.id = any (emptied)
            union all select f.tenant, f.upstream_id from only credential_flows as f join only tokens as t
                on t.tenant = f.tenant and t.id = f.token_id where t.id = any (emptied))
        order by u.tenant, u.id for no key update of u) as held;
    delete from only credential_flows as f using only tokens as t
        where t.id = any (emptied) and f.tenant = t.tenant and f.token_id = t.id;
    delete from only upstream_credentials as c using only tokens as t
        where t.id = any (emptied) and c.tenant = t.tenant and c.token_id = t.id;
    return null;
end
$$;

create trigger reconcile_insert after insert on grants referencing new table as new_rows
    for each statement execute function reconcile_after_grants();
create trigger reconcile_update after update on grants referencing old table as old_rows new table as new_rows
    for each statement execute function reconcile_after_grants();
create trigger reconcile_delete after delete on grants referencing old table as old_rows
    for each statement execute function reconcile_after_grants();
create trigger reconcile_truncate after truncate on grants
    for each statement execute function reconcile_after_grants();
create trigger reconcile_update after update on upstreams referencing old table as old_rows new table as new_rows
    for each statement execute function reconcile_after_upstreams();
create trigger reconcile_update after update on tokens referencing old table as old_rows new table as new_rows
    for each statement execute function reconcile_after_tokens();
alter table grants
    enable always trigger reconcile_insert, enable always trigger reconcile_update,
    enable always trigger reconcile_delete, enable always trigger reconcile_truncate;
alter table upstreams enable always trigger reconcile_update;
alter table tokens enable always trigger reconcile_update;

-- As in 0002, and also the columns of upstreams that decisions see by now, and credentials.
create or replace function note_data_change() returns trigger language plpgsql security definer as $$
declare
    -- The columns of the key. A token is noted by what it is found by.
    key constant text := case tg_relid
        when cast('tenants' as regclass) then 'id'
        when cast('users' as regclass) then 'tenant, id'
        when cast('projects' as regclass) then 'tenant, id'
        when cast('collaborators' as regclass) then 'tenant, project_id, user_id'
        when cast('tokens' as regclass) then 'sha256'
        when cast('upstreams' as regclass) then 'tenant, id'
        when cast('grants' as regclass) then 'tenant, token_id, upstream_id'
        when cast('upstream_credentials' as regclass) then 'tenant, upstream_id, holder, holder_id'
        end;
    -- The columns that decisions see: an update of others, such as last_used_at, is no change.
    seen constant text := key || case tg_relid
        when cast('users' as regclass) then ', role, disabled'
        when cast('projects' as regclass) then ', name, public'
        when cast('collaborators' as regclass) then ', role'
        when cast('tokens' as regclass) then ', tenant, id, kind, user_id, project_id, scope_pull, scope_push, '
            'allow_trigger, projects, tools, expires_at, revoked_at'
        when cast('upstreams' as regclass) then ', allow_all, credential, header, format, value_headers, pass_headers'
        when cast('upstream_credentials' as regclass) then ', state, key_id, sealed, expires_at'
        else ''
        end;
    most constant integer := 5000;
    rows text;
    many bigint;
    noted jsonb;
begin
    if key is null then
        raise exception 'note_data_change is for the tables of decision data';
    end if;
    if tg_op = 'TRUNCATE' then
        insert into data_changes (changed) values (tg_table_name);
        return null;
    end if;
    rows := case tg_op
        when 'INSERT' then format('select %s from new_rows', key)
        when 'DELETE' then format('select %s from old_rows', key)
        -- Both ways, so that a changed key is noted as it was and as it is.
        else format('select %1$s from ((select %2$s from old_rows except all select %2$s from new_rows) '
                    'union all (select %2$s from new_rows except all select %2$s from old_rows)) as differing',
                    key, seen)
        end;
    execute format('select count(*) from (select distinct %s from (%s) as touched limit %s) as few',
                   key, rows, most + 1) into many;
    if many = 0 then
        return null;
    end if;
    if many <= most then
        execute format('select jsonb_agg(to_jsonb(keys)) from (select distinct %s from (%s) as touched) as keys',
                       key, rows) into noted;
    end if;
    insert into data_changes (changed, keys) values (tg_table_name, noted);
    return null;
end
$$;

create trigger note_insert after insert on upstream_credentials referencing new table as new_rows
    for each statement execute function note_data_change();
create trigger note_update after update on upstream_credentials referencing old table as old_rows
    new table as new_rows for each statement execute function note_data_change();
create trigger note_delete after delete on upstream_credentials referencing old table as old_rows
    for each statement execute function note_data_change();
create trigger note_truncate after truncate on upstream_credentials
    for each statement execute function note_data_change();
alter table upstream_credentials
    enable always trigger note_insert, enable always trigger note_update,
    enable always trigger note_delete, enable always trigger note_truncate;

-- The functions run with their owner's rights, see 0002.
do $$
declare
    name text;
begin
    foreach name in array array['note_data_change()', 'reconcile_credentials(text[], text[], text[])',
                                'reconcile_after_grants()', 'reconcile_after_upstreams()', 'reconcile_after_tokens()']
    loop
        execute format('alter function %s set search_path = pg_catalog, %I, pg_temp', name, current_schema());
        execute format('revoke execute on function %s from public', name);
    end loop;
end
$$;
