-- The credentials that go on to upstreams, sealed, and the consent flows that give them; and what a change of
-- grants does to both. The twin of this file is migrations/postgres/0003_upstream_credentials.sql.
--
-- What is sealed is base64 of a nonce and a ciphertext; key_id says which key opens it. No secret is here.

-- What an upstream wants, beside one header with one token. A list of names without its first and last two signs and
-- without what stands between two names is made of the signs of names alone.
--
-- The headers whose values a credential gives as they are. NULL: `header` and `format`.
alter table upstreams add column value_headers text
    constraint upstreams_value_headers_are_lower_case_header_names
    check (case when json_valid(value_headers) then json_type(value_headers) = 'array'
               and json_array_length(value_headers) between 1 and 32 and length(value_headers) <= 16384
               and substr(json(value_headers), 1, 2) = '["' and json(value_headers) not glob '*""*'
               and replace(substr(json(value_headers), 3, length(json(value_headers)) - 4), '","', '')
                   not glob '*[^!#$%&''*+.^_`|~0-9a-z-]*'
           else value_headers is null end);
-- The caller's headers that may pass. NULL: all but credentials.
alter table upstreams add column pass_headers text
    constraint upstreams_pass_headers_are_lower_case_header_names
    check (case when json_valid(pass_headers) then json_type(pass_headers) = 'array'
               and json_array_length(pass_headers) <= 64 and length(pass_headers) <= 32768
               and (json(pass_headers) = '[]' or (
                   substr(json(pass_headers), 1, 2) = '["' and json(pass_headers) not glob '*""*'
                   and replace(substr(json(pass_headers), 3, length(json(pass_headers)) - 4), '","', '')
                       not glob '*[^!#$%&''*+.^_`|~0-9a-z-]*'))
           else pass_headers is null end);
-- The client that regate is at the upstream's authorization server. NULL: nobody consents there.
alter table upstreams add column oauth text
    constraint upstreams_oauth_is_an_object
    check (case when json_valid(oauth) then json_type(oauth) = 'object' else oauth is null end)
    constraint upstreams_oauth_is_small check (length(oauth) <= 16384);

-- Rules of several columns, which no constraint of one that was added can be, or that older rows may break: those have
-- no credential, so what they ask for is denied, and whoever changes them sets them right.
create trigger upstreams_rules_insert before insert on upstreams when new.credential <> 'none' begin
    -- A program on the gateway's own machine cannot be given a credential by a header.
    select raise(abort, 'upstreams_one_with_a_credential_is_reached_by_http')
        where lower(new.url) not glob 'http://[^/]*' and lower(new.url) not glob 'https://[^/]*';
    -- The caller's own credential never goes on to an upstream that gets one from regate.
    select raise(abort, 'upstreams_with_a_credential_pass_no_authorization')
        where exists (select 1 from json_each(new.pass_headers) where value = 'authorization');
    -- What regate sets there comes from nobody else.
    select raise(abort, 'upstreams_with_a_credential_pass_none_of_its_headers')
        where exists (select 1 from json_each(new.pass_headers) as passing where passing.value = lower(new.header)
            or passing.value in (select value from json_each(new.value_headers)));
end;
create trigger upstreams_rules_update before update of url, credential, header, value_headers, pass_headers on upstreams
    when new.credential <> 'none'
begin
    select raise(abort, 'upstreams_one_with_a_credential_is_reached_by_http')
        where lower(new.url) not glob 'http://[^/]*' and lower(new.url) not glob 'https://[^/]*';
    select raise(abort, 'upstreams_with_a_credential_pass_no_authorization')
        where exists (select 1 from json_each(new.pass_headers) where value = 'authorization');
    select raise(abort, 'upstreams_with_a_credential_pass_none_of_its_headers')
        where exists (select 1 from json_each(new.pass_headers) as passing where passing.value = lower(new.header)
            or passing.value in (select value from json_each(new.value_headers)));
end;

-- What regate shows to an upstream's authorization server.
create table upstream_client_secrets (
    tenant      text not null default 'default',
    upstream_id text not null,
    key_id      text not null
        constraint upstream_client_secrets_key_id_is_16_hex_digits
        check (key_id not glob '*[^0-9a-f]*' and length(key_id) = 16 and length(cast(key_id as blob)) = 16),
    sealed      text not null
        constraint upstream_client_secrets_sealed_is_base64
        check (rtrim(sealed, '=') not glob '*[^A-Za-z0-9+/]*' and length(sealed) > 0
               and length(cast(sealed as blob)) = length(sealed))
        constraint upstream_client_secrets_sealed_is_at_most_64_kib check (length(sealed) <= 87384),
    primary key (tenant, upstream_id),
    foreign key (tenant, upstream_id) references upstreams (tenant, id) on delete cascade
) strict;

create table upstream_credentials (
    tenant         text    not null default 'default',
    upstream_id    text    not null,
    holder         text    not null
        constraint upstream_credentials_holder_is_known check (holder in ('shared', 'user', 'token')),
    -- Empty for a shared one.
    holder_id      text    not null default '',
    -- The holder once more, for a foreign key of its own.
    user_id        text,
    token_id       text,
    state          text    not null default 'active'
        constraint upstream_credentials_state_is_known
        check (state in ('active', 'orphaned', 'needs_reauth', 'needs_update')),
    -- A token for the upstream's `header` and `format`, or values of headers, which go on as they are.
    form           text    not null default 'token'
        constraint upstream_credentials_form_is_known check (form in ('token', 'headers')),
    -- The headers whose values it has, in lower case.
    header_names   text    not null default '[]'
        constraint upstream_credentials_header_names_is_an_array
        check (case when json_valid(header_names) then json_type(header_names) = 'array' else false end)
        constraint upstream_credentials_header_names_is_small check (length(header_names) <= 16384),
    key_id         text    not null
        constraint upstream_credentials_key_id_is_16_hex_digits
        check (key_id not glob '*[^0-9a-f]*' and length(key_id) = 16 and length(cast(key_id as blob)) = 16),
    sealed         text    not null
        constraint upstream_credentials_sealed_is_base64
        check (rtrim(sealed, '=') not glob '*[^A-Za-z0-9+/]*' and length(sealed) > 0
               and length(cast(sealed as blob)) = length(sealed))
        constraint upstream_credentials_sealed_is_at_most_64_kib check (length(sealed) <= 87384),
    -- What it is renewed with.
    refresh_key_id text
        constraint upstream_credentials_refresh_key_id_is_16_hex_digits
        check (refresh_key_id not glob '*[^0-9a-f]*' and length(refresh_key_id) = 16
               and length(cast(refresh_key_id as blob)) = 16),
    sealed_refresh text
        constraint upstream_credentials_sealed_refresh_is_base64
        check (rtrim(sealed_refresh, '=') not glob '*[^A-Za-z0-9+/]*' and length(sealed_refresh) > 0
               and length(cast(sealed_refresh as blob)) = length(sealed_refresh))
        constraint upstream_credentials_sealed_refresh_is_at_most_64_kib check (length(sealed_refresh) <= 87384),
    expires_at     text
        constraint upstream_credentials_expires_at_is_a_time
        check (expires_at is null or (
            expires_at glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]*'
            and (expires_at glob '*Z' or expires_at glob '*[+-][0-9][0-9]:[0-9][0-9]')
            and unixepoch(expires_at) is not null)),
    created_at     text    not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
        constraint upstream_credentials_created_at_is_a_time
        check (created_at glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]*'
               and (created_at glob '*Z' or created_at glob '*[+-][0-9][0-9]:[0-9][0-9]')
               and unixepoch(created_at) is not null),
    updated_at     text    not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
        constraint upstream_credentials_updated_at_is_a_time
        check (updated_at glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]*'
               and (updated_at glob '*Z' or updated_at glob '*[+-][0-9][0-9]:[0-9][0-9]')
               and unixepoch(updated_at) is not null),
    -- Since when its token lacks the grant.
    orphaned_at    text
        constraint upstream_credentials_orphaned_at_is_a_time
        check (orphaned_at is null or (
            orphaned_at glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]*'
            and (orphaned_at glob '*Z' or orphaned_at glob '*[+-][0-9][0-9]:[0-9][0-9]')
            and unixepoch(orphaned_at) is not null)),
    -- Another number whenever the credential is another.
    version        integer not null default 1,
    -- Not to be renewed before: somebody is at it, or it failed a while ago.
    renew_after    text
        constraint upstream_credentials_renew_after_is_a_time
        check (renew_after is null or (
            renew_after glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]*'
            and (renew_after glob '*Z' or renew_after glob '*[+-][0-9][0-9]:[0-9][0-9]')
            and unixepoch(renew_after) is not null)),
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
) strict;
create index upstream_credentials_by_user on upstream_credentials (tenant, user_id);
create index upstream_credentials_by_token on upstream_credentials (tenant, token_id);
create index upstream_credentials_to_renew on upstream_credentials (expires_at) where sealed_refresh is not null;
create index upstream_credentials_to_sweep on upstream_credentials (orphaned_at) where state = 'orphaned';

create table credential_flows (
    -- Nobody can guess it.
    id              text not null primary key
        constraint credential_flows_id_has_1_to_256_characters check (length(id) between 1 and 256),
    tenant          text not null default 'default',
    upstream_id     text not null,
    holder          text not null
        constraint credential_flows_holder_is_known check (holder in ('shared', 'user', 'token')),
    holder_id       text not null default '',
    user_id         text,
    token_id        text,
    -- Who may complete it.
    begun_kind      text not null,
    begun_id        text not null,
    -- Of a flow through an authorization server.
    state_sha256    text
        constraint credential_flows_state_sha256_is_64_lower_case_hex_digits
        check (state_sha256 not glob '*[^0-9a-f]*' and length(state_sha256) = 64
               and length(cast(state_sha256 as blob)) = 64),
    verifier_key_id text
        constraint credential_flows_verifier_key_id_is_16_hex_digits
        check (verifier_key_id not glob '*[^0-9a-f]*' and length(verifier_key_id) = 16
               and length(cast(verifier_key_id as blob)) = 16),
    sealed_verifier text
        constraint credential_flows_sealed_verifier_is_base64
        check (rtrim(sealed_verifier, '=') not glob '*[^A-Za-z0-9+/]*' and length(sealed_verifier) > 0
               and length(cast(sealed_verifier as blob)) = length(sealed_verifier))
        constraint credential_flows_sealed_verifier_is_at_most_64_kib check (length(sealed_verifier) <= 87384),
    redirect_uri    text,
    created_at      text not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
        constraint credential_flows_created_at_is_a_time
        check (created_at glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]*'
               and (created_at glob '*Z' or created_at glob '*[+-][0-9][0-9]:[0-9][0-9]')
               and unixepoch(created_at) is not null),
    expires_at      text not null
        constraint credential_flows_expires_at_is_a_time
        check (expires_at glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]*'
               and (expires_at glob '*Z' or expires_at glob '*[+-][0-9][0-9]:[0-9][0-9]')
               and unixepoch(expires_at) is not null),
    -- It is being completed: it is good for one time.
    taken_at        text
        constraint credential_flows_taken_at_is_a_time
        check (taken_at is null or (
            taken_at glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]T[0-9][0-9]:[0-9][0-9]:[0-9][0-9]*'
            and (taken_at glob '*Z' or taken_at glob '*[+-][0-9][0-9]:[0-9][0-9]')
            and unixepoch(taken_at) is not null)),
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
) strict;
create index credential_flows_by_upstream on credential_flows (tenant, upstream_id, holder, holder_id);
create index credential_flows_by_user on credential_flows (tenant, user_id);
create index credential_flows_by_token on credential_flows (tenant, token_id);
create index credential_flows_by_beginner on credential_flows (tenant, begun_kind, begun_id);
create index credential_flows_to_sweep on credential_flows (expires_at);
-- The order of lists.
create index credential_flows_by_age on credential_flows (tenant, created_at, id);

-- What a token may reach. The same predicate serves decisions (TenantData::granted in src/decision).
create view token_reach as
    select tenant, token_id, upstream_id from grants
    union all
    select t.tenant, t.id, u.id from upstreams as u join tokens as t on t.tenant = u.tenant where u.allow_all;

-- Reconciliation: credentials and flows follow what tokens may reach, in the transaction that changes it, whoever
-- makes the change. SQLite has one writer at a time, so what a trigger sees is what is.
--
-- What the triggers of tables insert into; they hold nothing. A token whose row is gone is being removed with all
-- that is its own, and the other states are nothing that a grant could mend.

-- All that a token holds.
create view reconcile_token as select '' as tenant, '' as token_id where false;
create trigger reconcile_token_credentials instead of insert on reconcile_token begin
    delete from credential_flows
        where tenant = new.tenant and token_id = new.token_id
            and not exists (select 1 from token_reach as reach where reach.tenant = credential_flows.tenant
                and reach.token_id = credential_flows.token_id and reach.upstream_id = credential_flows.upstream_id);
    update upstream_credentials
        set state = iif(state = 'active', 'orphaned', 'active'),
            orphaned_at = iif(state = 'active', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), null)
        where tenant = new.tenant and token_id = new.token_id
            and exists (select 1 from tokens as t where t.tenant = new.tenant and t.id = new.token_id)
            and state = iif(exists (select 1 from token_reach as reach
                where reach.tenant = upstream_credentials.tenant and reach.token_id = upstream_credentials.token_id
                and reach.upstream_id = upstream_credentials.upstream_id), 'orphaned', 'active');
end;
-- All that tokens hold for an upstream.
create view reconcile_upstream as select '' as tenant, '' as upstream_id where false;
create trigger reconcile_upstream_credentials instead of insert on reconcile_upstream begin
    delete from credential_flows
        where tenant = new.tenant and upstream_id = new.upstream_id and holder = 'token'
            and not exists (select 1 from token_reach as reach where reach.tenant = credential_flows.tenant
                and reach.token_id = credential_flows.token_id and reach.upstream_id = credential_flows.upstream_id);
    update upstream_credentials
        set state = iif(state = 'active', 'orphaned', 'active'),
            orphaned_at = iif(state = 'active', strftime('%Y-%m-%dT%H:%M:%fZ', 'now'), null)
        where tenant = new.tenant and upstream_id = new.upstream_id and holder = 'token'
            and exists (select 1 from tokens as t where t.tenant = new.tenant and t.id = upstream_credentials.token_id)
            and state = iif(exists (select 1 from token_reach as reach
                where reach.tenant = upstream_credentials.tenant and reach.token_id = upstream_credentials.token_id
                and reach.upstream_id = upstream_credentials.upstream_id), 'orphaned', 'active');
end;

create trigger grants_reconcile_insert after insert on grants begin
    insert into reconcile_token values (new.tenant, new.token_id);
end;
create trigger grants_reconcile_update after update on grants begin
    insert into reconcile_token values (old.tenant, old.token_id);
    insert into reconcile_token values (new.tenant, new.token_id);
end;
create trigger grants_reconcile_delete after delete on grants begin
    insert into reconcile_token values (old.tenant, old.token_id);
end;

-- Values of headers fit an upstream that wants no others, be it in `value_headers` or in its one `header`.
create trigger upstreams_reconcile_update after update on upstreams
    when old.allow_all is not new.allow_all or old.value_headers is not new.value_headers or old.header is not new.header
begin
    update upstream_credentials set state = 'needs_update', orphaned_at = null
        where tenant = new.tenant and upstream_id = new.id and state in ('active', 'orphaned')
            and not iif(form = 'token', new.value_headers is null, not exists (
                select 1 from json_each(coalesce(new.value_headers, json_array(lower(new.header)))) as wanted
                    where wanted.value not in (select value from json_each(header_names))));
    insert into reconcile_upstream values (new.tenant, new.id);
end;

-- What was given for one client at one place is shown to no other: the client secret, what credentials are renewed
-- with, and the codes of pending flows. What goes on stays as it is until it expires. With another version, a renewal
-- that is under way writes nothing.
create trigger upstreams_reconcile_oauth after update on upstreams
    when old.oauth is not null and (new.oauth is null
        or old.oauth ->> '$.token_endpoint' is not new.oauth ->> '$.token_endpoint'
        or old.oauth ->> '$.client_id' is not new.oauth ->> '$.client_id')
begin
    delete from upstream_client_secrets where tenant = new.tenant and upstream_id = new.id;
    delete from credential_flows where tenant = new.tenant and upstream_id = new.id;
    update upstream_credentials
        set sealed_refresh = null, refresh_key_id = null, renew_after = null, version = version + 1
        where tenant = new.tenant and upstream_id = new.id and sealed_refresh is not null;
end;

-- A revoked token never comes back, so neither does what it held; and what one user's token held is no other user's.
create trigger tokens_reconcile_update after update on tokens
    when old.revoked_at is null and new.revoked_at is not null or old.user_id is not new.user_id
begin
    delete from credential_flows where tenant = new.tenant and token_id = new.id;
    delete from upstream_credentials where tenant = new.tenant and token_id = new.id;
end;

-- What belongs to a row goes with it, also by the hand of a program that has foreign keys off. Nothing lies there for a
-- row that comes: `insert or replace` and `update or replace` say nothing of the rows that they put aside.
create view forget_tenant as select '' as tenant where false;
create trigger forget_tenant_rows instead of insert on forget_tenant begin
    delete from credential_flows where tenant = new.tenant;
    delete from upstream_credentials where tenant = new.tenant;
    delete from upstream_client_secrets where tenant = new.tenant;
    delete from grants where tenant = new.tenant;
end;
create view forget_user as select '' as tenant, '' as user_id where false;
create trigger forget_user_rows instead of insert on forget_user begin
    delete from credential_flows where tenant = new.tenant and user_id = new.user_id;
    delete from upstream_credentials where tenant = new.tenant and user_id = new.user_id;
end;
create view forget_token as select '' as tenant, '' as token_id where false;
create trigger forget_token_rows instead of insert on forget_token begin
    delete from credential_flows where tenant = new.tenant and token_id = new.token_id;
    delete from upstream_credentials where tenant = new.tenant and token_id = new.token_id;
    delete from grants where tenant = new.tenant and token_id = new.token_id;
end;
create view forget_upstream as select '' as tenant, '' as upstream_id where false;
create trigger forget_upstream_rows instead of insert on forget_upstream begin
    delete from credential_flows where tenant = new.tenant and upstream_id = new.upstream_id;
    delete from upstream_credentials where tenant = new.tenant and upstream_id = new.upstream_id;
    delete from upstream_client_secrets where tenant = new.tenant and upstream_id = new.upstream_id;
    delete from grants where tenant = new.tenant and upstream_id = new.upstream_id;
end;
create trigger tenants_reconcile_delete after delete on tenants begin
    insert into forget_tenant values (old.id);
end;
create trigger users_reconcile_insert after insert on users begin
    insert into forget_user values (new.tenant, new.id);
end;
create trigger users_reconcile_move after update on users
    when old.tenant is not new.tenant or old.id is not new.id
begin
    insert into forget_user values (new.tenant, new.id);
end;
create trigger users_reconcile_delete after delete on users begin
    insert into forget_user values (old.tenant, old.id);
end;
create trigger tokens_reconcile_insert after insert on tokens begin
    insert into forget_token values (new.tenant, new.id);
end;
create trigger tokens_reconcile_move after update on tokens
    when old.tenant is not new.tenant or old.id is not new.id
begin
    insert into forget_token values (new.tenant, new.id);
end;
create trigger tokens_reconcile_delete after delete on tokens begin
    insert into forget_token values (old.tenant, old.id);
end;
create trigger upstreams_reconcile_insert after insert on upstreams begin
    insert into forget_upstream values (new.tenant, new.id);
end;
create trigger upstreams_reconcile_move after update on upstreams
    when old.tenant is not new.tenant or old.id is not new.id
begin
    insert into forget_upstream values (new.tenant, new.id);
end;
create trigger upstreams_reconcile_delete after delete on upstreams begin
    insert into forget_upstream values (old.tenant, old.id);
end;

-- As in 0002, with the columns of upstreams that decisions see by now.
drop trigger upstreams_update;
create trigger upstreams_update after update on upstreams
    when old.tenant is not new.tenant or old.id is not new.id or old.allow_all is not new.allow_all or
         old.credential is not new.credential or old.header is not new.header or old.format is not new.format or
         old.value_headers is not new.value_headers or old.pass_headers is not new.pass_headers
begin
    insert into note_data_change values ('upstreams', json_object('tenant', new.tenant, 'id', new.id));
    insert into note_data_change select 'upstreams', json_object('tenant', old.tenant, 'id', old.id)
        where old.tenant is not new.tenant or old.id is not new.id;
end;

create trigger upstream_credentials_insert after insert on upstream_credentials begin
    insert into note_data_change values ('upstream_credentials', json_object('tenant', new.tenant, 'upstream_id', new.upstream_id, 'holder', new.holder, 'holder_id', new.holder_id));
end;
create trigger upstream_credentials_update after update on upstream_credentials
    when old.tenant is not new.tenant or old.upstream_id is not new.upstream_id or
         old.holder is not new.holder or old.holder_id is not new.holder_id or old.state is not new.state or
         old.key_id is not new.key_id or old.sealed is not new.sealed or old.expires_at is not new.expires_at
begin
    insert into note_data_change values ('upstream_credentials', json_object('tenant', new.tenant, 'upstream_id', new.upstream_id, 'holder', new.holder, 'holder_id', new.holder_id));
    insert into note_data_change select 'upstream_credentials', json_object('tenant', old.tenant, 'upstream_id', old.upstream_id, 'holder', old.holder, 'holder_id', old.holder_id)
        where old.tenant is not new.tenant or old.upstream_id is not new.upstream_id or
              old.holder is not new.holder or old.holder_id is not new.holder_id;
end;
create trigger upstream_credentials_delete after delete on upstream_credentials begin
    insert into note_data_change values ('upstream_credentials', json_object('tenant', old.tenant, 'upstream_id', old.upstream_id, 'holder', old.holder, 'holder_id', old.holder_id));
end;
