-- The decision log: who was allowed what, when, by which rule. Each record is chained to the one before it by a hash,
-- so that what is changed, taken out or put in afterwards is found (`regate audit verify`). The twin of this file is
-- migrations/postgres/0004_decision_log.sql.
--
-- No trigger of the data revision is on these tables, and nothing refers to a row of decision data: a record outlives
-- the tenant, the user and the token that it names.

create table decisions (
    -- 1, 2, 3 and so on, without gaps, in the order of the chain.
    sequence    integer primary key
        constraint decisions_sequence_counts_upwards_from_1 check (sequence > 0),
    decision_id text    not null,
    -- What follows is in the record as well. It is here to be looked for.
    tenant      text    not null,
    time_millis integer not null,
    face        text    not null,
    allow       integer not null constraint decisions_allow_is_0_or_1 check (allow in (0, 1)),
    status      integer not null,
    reason      text    not null,
    token_id    text,
    user_id     text,
    project_id  text,
    upstream_id text,
    method      text,
    path        text,
    -- The record as JSON: exactly the text that was hashed.
    record      text    not null,
    -- SHA-256 of the hash before it, the sequence (8 bytes, big-endian) and the record.
    hash        text    not null
        constraint decisions_hash_is_64_lower_case_hex_digits
        check (length(hash) = 64 and hash not glob '*[^0-9a-f]*')
) strict;
-- Not unique: should two records have one id, both are kept, and the clash is told.
create index decisions_by_id on decisions (decision_id);
create index decisions_by_tenant on decisions (tenant, sequence);
create index decisions_by_reason on decisions (tenant, reason, sequence);
create index decisions_by_time on decisions (tenant, time_millis);
create index decisions_by_token on decisions (tenant, token_id, sequence) where token_id is not null;
create index decisions_by_user on decisions (tenant, user_id, sequence) where user_id is not null;
create index decisions_by_project on decisions (tenant, project_id, sequence) where project_id is not null;

-- The end of the chain. Who appends holds this row: so many processes append one after the other.
create table decision_log_head (
    only_row integer primary key default 1 constraint decision_log_head_has_one_row check (only_row = 1),
    sequence integer not null,
    hash     text    not null
) strict;
-- SHA-256 of 'regate decision log, version 1': what the first record follows.
insert into decision_log_head (sequence, hash)
    values (0, '38a8e5fa197d67331167cdac713251b32f1a607c62f6eb36cf514e63e127c43c');

-- The end of what retention took away: the first record that is kept follows it.
create table decision_log_anchor (
    only_row  integer primary key default 1 constraint decision_log_anchor_has_one_row check (only_row = 1),
    sequence  integer not null,
    hash      text    not null,
    pruned_at text
) strict;
insert into decision_log_anchor (sequence, hash)
    values (0, '38a8e5fa197d67331167cdac713251b32f1a607c62f6eb36cf514e63e127c43c');

-- Up to where each process's records on disk are here.
create table decision_log_spools (
    spool_id         text    primary key,
    position_segment integer not null,
    position_offset  integer not null,
    shipped_at       text    not null default (strftime('%Y-%m-%dT%H:%M:%fZ', 'now'))
) strict;
