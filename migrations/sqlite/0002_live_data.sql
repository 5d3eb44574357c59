-- The data revision and the log of changes, kept by triggers: whoever writes a row of decision data
-- moves the revision in the transaction that does it. The twin of this file is
-- migrations/postgres/0002_live_data.sql.
--
-- SQLite has one writer at a time, so the number can be taken at once: in the order of the writes it is in
-- the order of the commits, and without gaps. It has no triggers for a statement or a commit, so a row
-- that another program changes takes a revision of its own; regate says where its own transactions begin
-- and end (in_batch), and takes one for each. What a reader sees in between are whole transactions.

-- Lists are ordered by this text: in one form.
update tokens set created_at = strftime('%Y-%m-%dT%H:%M:%fZ', created_at);

-- What tells this history from another one in which the numbers are the same (a file put back).
alter table data_revision add column mark text not null default '';
-- The mark before this revision was taken.
alter table data_revision add column follows text not null default '';
-- Whether a transaction of regate's own is going on, which has taken its revision already.
alter table data_revision add column in_batch integer not null default 0;
-- How many changes have been noted for this revision.
alter table data_revision add column noted integer not null default 0;
update data_revision set mark = lower(hex(randomblob(16)));

create table data_changes (
    id       integer primary key,
    revision integer not null,
    -- data_revision.mark before this revision was taken.
    follows  text    not null,
    -- The table.
    changed  text    not null,
    -- The key of the row that changed, an object. NULL: too many to list, or all.
    keys     text
) strict;
create index data_changes_by_revision on data_changes (revision);

-- Notes one changed row: what the triggers of all tables below insert into. It holds nothing.
create view note_data_change as select '' as changed, '' as keys where false;
create trigger take_data_revision instead of insert on note_data_change begin
    select raise(abort, 'the one row of data_revision is missing: no change of decision data can be made')
        where not exists (select 1 from data_revision);
    update data_revision set
        follows  = iif(in_batch, follows, mark),
        mark     = iif(in_batch, mark, lower(hex(randomblob(16)))),
        revision = revision + (not in_batch),
        noted    = iif(in_batch, noted + 1, 1);
    insert into data_changes (revision, follows, changed, keys)
        select revision, follows, new.changed, new.keys from data_revision where noted <= 5000;
    -- A process that is further behind than this loads everything.
    delete from data_changes where revision <= (select revision - 16384 from data_revision);
end;

create trigger tenants_insert after insert on tenants begin
    insert into note_data_change values ('tenants', json_object('id', new.id));
end;
create trigger tenants_update after update on tenants
    when old.id is not new.id
begin
    insert into note_data_change values ('tenants', json_object('id', new.id));
    insert into note_data_change select 'tenants', json_object('id', old.id)
        where old.id is not new.id;
end;
create trigger tenants_delete after delete on tenants begin
    insert into note_data_change values ('tenants', json_object('id', old.id));
end;

create trigger users_insert after insert on users begin
    insert into note_data_change values ('users', json_object('tenant', new.tenant, 'id', new.id));
end;
create trigger users_update after update on users
    when old.tenant is not new.tenant or old.id is not new.id or old.role is not new.role or
         old.disabled is not new.disabled
begin
    insert into note_data_change values ('users', json_object('tenant', new.tenant, 'id', new.id));
    insert into note_data_change select 'users', json_object('tenant', old.tenant, 'id', old.id)
        where old.tenant is not new.tenant or old.id is not new.id;
end;
create trigger users_delete after delete on users begin
    insert into note_data_change values ('users', json_object('tenant', old.tenant, 'id', old.id));
end;

create trigger projects_insert after insert on projects begin
    insert into note_data_change values ('projects', json_object('tenant', new.tenant, 'id', new.id));
end;
create trigger projects_update after update on projects
    when old.tenant is not new.tenant or old.id is not new.id or old.name is not new.name or
         old.public is not new.public
begin
    insert into note_data_change values ('projects', json_object('tenant', new.tenant, 'id', new.id));
    insert into note_data_change select 'projects', json_object('tenant', old.tenant, 'id', old.id)
        where old.tenant is not new.tenant or old.id is not new.id;
end;
create trigger projects_delete after delete on projects begin
    insert into note_data_change values ('projects', json_object('tenant', old.tenant, 'id', old.id));
end;

create trigger collaborators_insert after insert on collaborators begin
    insert into note_data_change values ('collaborators', json_object('tenant', new.tenant, 'project_id', new.project_id, 'user_id', new.user_id));
end;
create trigger collaborators_update after update on collaborators
    when old.tenant is not new.tenant or old.project_id is not new.project_id or
         old.user_id is not new.user_id or old.role is not new.role
begin
    insert into note_data_change values ('collaborators', json_object('tenant', new.tenant, 'project_id', new.project_id, 'user_id', new.user_id));
    insert into note_data_change select 'collaborators', json_object('tenant', old.tenant, 'project_id', old.project_id, 'user_id', old.user_id)
        where old.tenant is not new.tenant or old.project_id is not new.project_id or old.user_id is not new.user_id;
end;
create trigger collaborators_delete after delete on collaborators begin
    insert into note_data_change values ('collaborators', json_object('tenant', old.tenant, 'project_id', old.project_id, 'user_id', old.user_id));
end;

-- A token is noted by what it is found by. `insert or replace` removes the row that is in its way without
-- a word to the trigger on removals, so what that row was found by is noted first. (A revoked one may be
-- left: it allows nothing.)
create trigger tokens_replace before insert on tokens begin
    insert into note_data_change select 'tokens', json_object('sha256', sha256) from tokens
        where id = new.id and sha256 <> new.sha256 and revoked_at is null;
end;
create trigger tokens_replace_by_update before update on tokens begin
    insert into note_data_change select 'tokens', json_object('sha256', sha256) from tokens
        where (id = new.id or sha256 = new.sha256) and id <> old.id;
end;
create trigger tokens_insert after insert on tokens begin
    insert into note_data_change values ('tokens', json_object('sha256', new.sha256));
end;
create trigger tokens_update after update on tokens
    when old.sha256 is not new.sha256 or old.tenant is not new.tenant or old.id is not new.id or
         old.kind is not new.kind or old.user_id is not new.user_id or
         old.project_id is not new.project_id or old.scope_pull is not new.scope_pull or
         old.scope_push is not new.scope_push or old.allow_trigger is not new.allow_trigger or
         old.projects is not new.projects or old.tools is not new.tools or
         old.expires_at is not new.expires_at or old.revoked_at is not new.revoked_at
begin
    insert into note_data_change values ('tokens', json_object('sha256', new.sha256));
    insert into note_data_change select 'tokens', json_object('sha256', old.sha256)
        where old.sha256 is not new.sha256;
end;
create trigger tokens_delete after delete on tokens begin
    insert into note_data_change values ('tokens', json_object('sha256', old.sha256));
end;

create trigger upstreams_insert after insert on upstreams begin
    insert into note_data_change values ('upstreams', json_object('tenant', new.tenant, 'id', new.id));
end;
create trigger upstreams_update after update on upstreams
    when old.tenant is not new.tenant or old.id is not new.id or old.allow_all is not new.allow_all or
         old.credential is not new.credential
begin
    insert into note_data_change values ('upstreams', json_object('tenant', new.tenant, 'id', new.id));
    insert into note_data_change select 'upstreams', json_object('tenant', old.tenant, 'id', old.id)
        where old.tenant is not new.tenant or old.id is not new.id;
end;
create trigger upstreams_delete after delete on upstreams begin
    insert into note_data_change values ('upstreams', json_object('tenant', old.tenant, 'id', old.id));
end;

create trigger grants_insert after insert on grants begin
    insert into note_data_change values ('grants', json_object('tenant', new.tenant, 'token_id', new.token_id, 'upstream_id', new.upstream_id));
end;
create trigger grants_update after update on grants
    when old.tenant is not new.tenant or old.token_id is not new.token_id or
         old.upstream_id is not new.upstream_id
begin
    insert into note_data_change values ('grants', json_object('tenant', new.tenant, 'token_id', new.token_id, 'upstream_id', new.upstream_id));
    insert into note_data_change select 'grants', json_object('tenant', old.tenant, 'token_id', old.token_id, 'upstream_id', old.upstream_id)
        where old.tenant is not new.tenant or old.token_id is not new.token_id or old.upstream_id is not new.upstream_id;
end;
create trigger grants_delete after delete on grants begin
    insert into note_data_change values ('grants', json_object('tenant', old.tenant, 'token_id', old.token_id, 'upstream_id', old.upstream_id));
end;
