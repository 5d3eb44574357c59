-- The data revision and the log of changes, kept by triggers: whoever writes a row of decision data
-- (regate, psql, COPY, TRUNCATE, a cascade, another service) moves the revision in the transaction
-- that does it. The twin of this file is migrations/sqlite/0002_live_data.sql.
--
-- How. After each statement, a trigger notes in data_changes which rows it changed, as decisions see
-- them. These notes have no revision yet. When the transaction commits, a deferred trigger takes the
-- next revision for all of them. Taken that late,
--   * revisions have no gaps and appear in the order of the commits: the lock on the one row of
--     data_revision is held only from there to the end of the commit, so nobody can commit a higher
--     number first, and a reader that sees a number sees everything below it;
--   * nobody can deadlock over it: whoever waits for that row has all other locks already, but for
--     those of constraints that a writer has itself deferred.
-- A transaction at repeatable read or above that meets another one's commit there fails with 40001, as
-- it would for any row that both write, and is to be repeated.

-- What tells this history from another one in which the numbers are the same (a restored dump).
alter table data_revision add column mark uuid not null default gen_random_uuid();

create table data_changes (
    id       bigint generated always as identity primary key,
    -- NULL until the transaction commits.
    revision bigint,
    -- data_revision.mark before this revision was taken.
    follows  uuid,
    -- The table.
    changed  text not null,
    -- The keys of the rows that changed, an array of objects. NULL: too many to list, or all.
    keys     jsonb
);
create index data_changes_by_revision on data_changes (revision);
create index data_changes_without_a_revision on data_changes (id) where revision is null;

-- Notes what a statement changed. It runs with its owner's rights, so it takes nothing from whoever makes a
-- trigger of it: not the columns, and no other table than these.
create function note_data_change() returns trigger language plpgsql security definer as $$
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
        end;
    -- The columns that decisions see: an update of others, such as last_used_at, is no change.
    seen constant text := key || case tg_relid
        when cast('users' as regclass) then ', role, disabled'
        when cast('projects' as regclass) then ', name, public'
        when cast('collaborators' as regclass) then ', role'
        when cast('tokens' as regclass) then ', tenant, id, kind, user_id, project_id, scope_pull, scope_push, '
            'allow_trigger, projects, tools, expires_at, revoked_at'
        when cast('upstreams' as regclass) then ', allow_all, credential'
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

-- Takes the next revision for what the transaction has noted.
create function take_data_revision() returns trigger language plpgsql security definer as $$
declare
    number bigint;
    before uuid;
begin
    -- The first of the transaction's notes does it for all of them.
    perform from data_changes where id = new.id and revision is null;
    if not found then
        return null;
    end if;
    select mark into before from data_revision for update;
    update data_revision set revision = revision + 1, mark = gen_random_uuid() returning revision into number;
    if number is null then
        raise exception 'the one row of data_revision is missing: no change of decision data can be made';
    end if;
    -- Other transactions' notes have a revision, or cannot be seen.
    update data_changes set revision = number, follows = before where revision is null;
    -- A process that is further behind than this loads everything.
    if number % 256 = 0 then
        delete from data_changes where revision <= number - 16384;
    end if;
    perform pg_notify('regate_data', number::text);
    return null;
end
$$;

create constraint trigger data_changes_take_a_revision after insert on data_changes
    deferrable initially deferred for each row execute function take_data_revision();
alter table data_changes enable always trigger data_changes_take_a_revision;

-- On each table, and also where session_replication_role switches ordinary triggers off.
do $$
declare
    name text;
begin
    foreach name in array array['tenants', 'users', 'projects', 'collaborators', 'tokens', 'upstreams', 'grants']
    loop
        execute format('create trigger note_insert after insert on %I referencing new table as new_rows '
                       'for each statement execute function note_data_change()', name);
        execute format('create trigger note_update after update on %I referencing old table as old_rows '
                       'new table as new_rows for each statement execute function note_data_change()', name);
        execute format('create trigger note_delete after delete on %I referencing old table as old_rows '
                       'for each statement execute function note_data_change()', name);
        execute format('create trigger note_truncate after truncate on %I '
                       'for each statement execute function note_data_change()', name);
        execute format('alter table %1$I enable always trigger note_insert, enable always trigger note_update, '
                       'enable always trigger note_delete, enable always trigger note_truncate', name);
    end loop;
    -- The functions run with their owner's rights, so that a program that may write `tokens` need not be
    -- given these tables; so nobody else may put them to use, and they find what they name by no one
    -- else's search path.
    execute format('alter function note_data_change() set search_path = pg_catalog, %I, pg_temp', current_schema());
    execute format('alter function take_data_revision() set search_path = pg_catalog, %I, pg_temp', current_schema());
end
$$;
revoke execute on function note_data_change() from public;
revoke execute on function take_data_revision() from public;
