-- What the warehouse keeps for itself, and Redshift's system tables as views on DuckDB's.
create table if not exists headrace.loads (manifest_id varchar primary key, row_count bigint, noted_at timestamp);
create sequence if not exists headrace.query_numbers start 100;
create table if not exists headrace.load_error_rows (query_id bigint, table_name varchar, schema_name varchar, filename varchar,
  line_number bigint, column_name varchar, column_type varchar, raw_line varchar, raw_value varchar, error_code integer, error_message varchar,
  noted_at timestamp);
create table if not exists headrace.load_commit_rows (query_id bigint, filename varchar, lines_scanned bigint, noted_at timestamp);
create table if not exists headrace.databases (name varchar primary key);
create table if not exists headrace.users (user_name varchar primary key, is_super boolean);
create table if not exists headrace.materialized_views (schema_name varchar, view_name varchar, definition varchar, refreshed_at timestamp);
create or replace view headrace.stl_load_errors as select 100 as userid, 0 as slice, 0 as tbl, noted_at as starttime, query_id as query,
  filename, line_number, column_name as colname, column_type as type, 0 as position, raw_line, raw_value as raw_field_value,
  error_code as err_code, error_message as err_reason from headrace.load_error_rows;
create or replace view headrace.sys_load_error_detail as select 100 as user_id, query_id, table_name, noted_at as start_time, filename as file_name,
  line_number, column_name, column_type, error_code, error_message, raw_line, raw_value as raw_field_value from headrace.load_error_rows;
create or replace view headrace.stl_load_commits as select 100 as userid, query_id as query, 0 as slice, filename, lines_scanned, noted_at as curtime,
  1 as status from headrace.load_commit_rows;

-- ---- what every view below stands on ---------------------------------------------------------------------------------
create or replace macro headrace.hr_declared(stored, facts) as coalesce(
  case when json_valid(facts) then facts ->> '$.type' end,
  case stored when 'VARCHAR' then 'character varying(65535)' when 'DOUBLE' then 'double precision' when 'FLOAT' then 'real'
    when 'TIMESTAMP' then 'timestamp without time zone' when 'TIMESTAMP WITH TIME ZONE' then 'timestamp with time zone'
    when 'HUGEINT' then 'numeric(38,0)' when 'JSON' then 'super' when 'BLOB' then 'binary varying' when 'TIME' then 'time without time zone'
    else replace(lower(stored), 'decimal', 'numeric') end);
create or replace macro headrace.hr_type_oid(declared) as cast(case regexp_replace(declared, '\(.*', '')
  when 'boolean' then 16 when 'binary varying' then 6551 when 'bigint' then 20 when 'smallint' then 21 when 'integer' then 23
  when 'real' then 700 when 'double precision' then 701 when 'character' then 1042 when 'character varying' then 1043 when 'date' then 1082
  when 'time without time zone' then 1083 when 'timestamp without time zone' then 1114 when 'timestamp with time zone' then 1184
  when 'interval' then 1186 when 'numeric' then 1700 when 'super' then 4000 else 1043 end as integer);
create or replace macro headrace.hr_type_modifier(declared) as cast(case
  when declared like 'character%(%' then cast(regexp_extract(declared, '\((\d+)', 1) as integer) + 4
  when declared like 'numeric(%' then (cast(regexp_extract(declared, '\((\d+)', 1) as integer) << 16)
    + cast(coalesce(nullif(regexp_extract(declared, ',\s*(\d+)', 1), ''), '0') as integer) + 4
  else -1 end as integer);
create or replace view headrace.relations as
  select table_oid + case when temporary then 1000000000 else 0 end as oid, table_name as name, case when temporary then 'pg_temp_1' else schema_name end as schema,
    case when temporary then 1000000000 else schema_oid end as schema_oid, 'r' as kind, column_count as columns, temporary, cast(estimated_size as double) as rows,
    cast(null as varchar) as definition, check_constraint_count as checks
  from duckdb_tables() where not internal and database_name in (current_database(), 'temp') and schema_name not in ('headrace', 'headrace_functions')
  union all
  select view_oid, view_name, schema_name, schema_oid, 'v', column_count, temporary, 0.0, sql, 0
  from duckdb_views() where not internal and database_name = current_database() and schema_name not in ('headrace', 'headrace_functions');
create or replace view headrace.schemata as
  select oid, schema_name as name from duckdb_schemas()
    where database_name = current_database() and not internal and schema_name not in ('headrace', 'headrace_functions', 'main')
  union all values (11, 'pg_catalog'), (12, 'information_schema'), (1000000000, 'pg_temp_1');
create or replace view headrace.column_facts as
  select r.oid as relation, r.schema, r.name as table_name, r.kind, c.column_name as name, cast(c.column_index as integer) as number,
    headrace.hr_declared(c.data_type, c.comment) as declared, c.is_nullable as nullable,
    case when c.column_default like 'nextval%' then null else c.column_default end as column_default,
    coalesce(c.comment ->> '$.encode', 'none') as encoding, coalesce((c.comment ->> '$.distkey') = 'true', false) as distkey,
    coalesce(cast(c.comment ->> '$.sortkey' as integer), 0) as sortkey, cast(c.comment ->> '$.primary_key' as integer) as primary_key,
    c.comment ->> '$.identity' as identity
  from duckdb_columns() c join headrace.relations r
    on r.oid = c.table_oid + case when c.database_name = 'temp' then 1000000000 else 0 end
  where c.database_name in (current_database(), 'temp') and c.schema_name not in ('headrace', 'headrace_functions');

-- ---- pg_catalog ------------------------------------------------------------------------------------------------------
create or replace view headrace.pg_namespace as select cast(oid as bigint) as oid, name as nspname, 100 as nspowner, cast(null as varchar) as nspacl from headrace.schemata;
create or replace view headrace.primary_keys as select 2000000000 + relation as oid, any_value(table_name) || '_pkey' as name, any_value(s.oid) as schema_oid,
  relation, count(*) as columns from headrace.column_facts f join headrace.schemata s on s.name = f.schema where primary_key is not null group by relation;
create or replace view headrace.pg_class as select cast(oid as bigint) as oid, name as relname, cast(schema_oid as bigint) as relnamespace, cast(0 as bigint) as reltype,
  0 as reloftype, 100 as relowner, 0 as relam, cast(oid as bigint) as relfilenode, 0 as reltablespace, 0 as relpages, rows as reltuples,
  0 as reltoastrelid, false as relhasindex, false as relisshared, case when temporary then 't' else 'p' end as relpersistence, kind as relkind,
  cast(columns as smallint) as relnatts, cast(0 as smallint) as relchecks, false as relhasoids, false as relhaspkey, false as relhasrules, false as relhassubclass,
  false as relhastriggers, cast(0 as smallint) as reltriggers, false as relrowsecurity, false as relforcerowsecurity, false as relispartition,
  'd' as relreplident, cast(null as varchar) as relacl, cast(null as varchar) as reloptions, 8 as releffectivediststyle, 0 as reldiststyle
  from (select oid, name, schema_oid, kind, columns, temporary, rows from headrace.relations
    union all select oid, name, schema_oid, 'i', columns, false, 0.0 from headrace.primary_keys);
create or replace view headrace.pg_attribute as select cast(relation as bigint) as attrelid, name as attname, headrace.hr_type_oid(declared) as atttypid, -1 as attstattarget,
  cast(-1 as smallint) as attlen, cast(number as smallint) as attnum, 0 as attndims, -1 as attcacheoff, headrace.hr_type_modifier(declared) as atttypmod,
  false as attbyval, 'x' as attstorage, 'i' as attalign, not nullable as attnotnull, column_default is not null or identity is not null as atthasdef,
  false as attisdropped, true as attislocal, 0 as attinhcount, 0 as attcollation, '' as attidentity, '' as attgenerated, 0 as attencodingtype,
  distkey as attisdistkey, sortkey as attsortkeyord, cast(null as varchar) as attacl, cast(null as varchar) as attfdwoptions
  from (select * from headrace.column_facts
    union all select * replace (2000000000 + relation as relation, primary_key as number) from headrace.column_facts where primary_key is not null);
create or replace view headrace.pg_attrdef as select cast(relation as bigint) * 2000 + number as oid, cast(relation as bigint) as adrelid, cast(number as smallint) as adnum,
  coalesce(column_default, '"identity"(' || relation || ', ' || number - 1 || ', ''' || identity || ''')') as adbin,
  coalesce(column_default, '"identity"(' || relation || ', ' || number - 1 || ', ''' || identity || ''')') as adsrc
  from headrace.column_facts where column_default is not null or identity is not null;
create or replace view headrace.pg_type as select cast(oid as bigint) as oid, name as typname, 11 as typnamespace, 10 as typowner, cast(size as smallint) as typlen, false as typbyval,
  'b' as typtype, category as typcategory, true as typisdefined, ',' as typdelim, 0 as typrelid, 0 as typelem, 0 as typarray, false as typnotnull,
  0 as typbasetype, -1 as typtypmod, 0 as typndims, 0 as typcollation, cast(null as varchar) as typdefault, 'textin' as typinput, cast(null as varchar) as typacl
  from (values (16, 'bool', 1, 'B'), (17, 'bytea', -1, 'U'), (18, 'char', 1, 'S'), (19, 'name', 64, 'S'), (20, 'int8', 8, 'N'), (21, 'int2', 2, 'N'),
    (23, 'int4', 4, 'N'), (25, 'text', -1, 'S'), (26, 'oid', 4, 'N'), (700, 'float4', 4, 'N'), (701, 'float8', 8, 'N'), (705, 'unknown', -2, 'X'),
    (1042, 'bpchar', -1, 'S'), (1043, 'varchar', -1, 'S'), (1082, 'date', 4, 'D'), (1083, 'time', 8, 'D'), (1114, 'timestamp', 8, 'D'),
    (1184, 'timestamptz', 8, 'D'), (1186, 'interval', 16, 'T'), (1700, 'numeric', -1, 'N'), (4000, 'super', -1, 'U'), (6551, 'varbyte', -1, 'U'))
    as t(oid, name, size, category);
create or replace view headrace.pg_database as select row_number() over (order by name) as oid, name as datname, 100 as datdba, 6 as encoding, 'c' as datlocprovider, 'C' as datcollate, 'C' as datctype,
  cast(null as varchar) as daticulocale, false as datistemplate, true as datallowconn, -1 as datconnlimit, cast(null as varchar) as datacl, 0 as dattablespace, 0 as datlastsysoid from headrace.databases;
create or replace view headrace.pg_user as select user_name as usename, 100 + row_number() over (order by user_name) - 1 as usesysid, is_super as usecreatedb, is_super as usesuper,
  false as usecatupd, '********' as passwd, cast(null as timestamp) as valuntil, cast(null as varchar) as useconfig from headrace.users;
create or replace view headrace.pg_user_info as select *, 'UNLIMITED' as useconnlimit from headrace.pg_user;
create or replace view headrace.pg_shadow as select * from headrace.pg_user;
create or replace view headrace.svv_user_info as select usesysid as user_id, usename as user_name, usecreatedb as createdb, usesuper as superuser from headrace.pg_user;
create or replace view headrace.pg_roles as select usesysid as oid, usename as rolname, usesuper as rolsuper, true as rolinherit, usesuper as rolcreaterole, usecreatedb as rolcreatedb,
  true as rolcanlogin, -1 as rolconnlimit, cast(null as timestamp) as rolvaliduntil, false as rolreplication, false as rolbypassrls, cast(null as varchar) as rolconfig from headrace.pg_user;
create or replace view headrace.pg_authid as select * from headrace.pg_roles;
create or replace view headrace.pg_group as select cast(null as varchar) as groname, 0 as grosysid, cast(null as varchar) as grolist where false;
create or replace view headrace.pg_auth_members as select 0 as roleid, 0 as member, 0 as grantor, false as admin_option where false;
create or replace view headrace.pg_am as select 0 as oid, 'heap' as amname, 0 as amhandler where false;
create or replace view headrace.pg_collation as select 0 as oid, '' as collname, 0 as collnamespace where false;
create or replace view headrace.pg_inherits as select 0 as inhrelid, 0 as inhparent, 0 as inhseqno where false;
create or replace view headrace.pg_language as select 0 as oid, '' as lanname where false;
create or replace view headrace.pg_depend as select 0 as classid, 0 as objid, 0 as objsubid, 0 as refclassid, 0 as refobjid, 0 as refobjsubid, '' as deptype where false;
create or replace view headrace.pg_description as select cast(0 as bigint) as objoid, cast(0 as bigint) as classoid, 0 as objsubid, '' as description where false;
create or replace view headrace.pg_shdescription as select * from headrace.pg_description;
create or replace view headrace.pg_trigger as select cast(0 as bigint) as oid, cast(0 as bigint) as tgrelid, '' as tgname, '' as tgenabled, false as tgisinternal where false;
create or replace view headrace.pg_index as select cast(oid as bigint) as indexrelid, cast(relation as bigint) as indrelid, true as indisunique, true as indisprimary,
  false as indisclustered, true as indisvalid, (select string_agg(number, ' ' order by primary_key) from headrace.column_facts f where f.relation = k.relation
  and primary_key is not null) as indkey, cast(null as varchar) as indpred, cast(null as varchar) as indexprs, false as indisreplident from headrace.primary_keys k;
create or replace view headrace.pg_constraint as select cast(relation as bigint) * 3 as oid, table_name || '_pkey' as conname, cast(max(s.oid) as bigint) as connamespace, 'p' as contype,
  false as condeferrable, false as condeferred, cast(relation as bigint) as conrelid, 0 as contypid, cast(0 as bigint) as confrelid, cast(0 as bigint) as conparentid,
  list(number order by primary_key) as conkey, cast(null as integer[]) as confkey,
  'PRIMARY KEY (' || string_agg(f.name, ', ' order by primary_key) || ')' as consrc
  from headrace.column_facts f join headrace.schemata s on s.name = f.schema where primary_key is not null group by relation, table_name;
create or replace view headrace.pg_proc as select 0 as oid, '' as proname, false as proiswindow, 0 as pronamespace, 0 as prorettype, '' as proargtypes, false as proisagg, 'f' as prokind, 0 as prolang, '' as prosrc where false;
create or replace view headrace.pg_settings as select name, setting, '' as unit, '' as category from (values ('max_index_keys', '32'), ('server_version', '8.0.2')) t(name, setting);
create or replace view headrace.pg_tables as select schema as schemaname, name as tablename, 'rdsdb' as tableowner, cast(null as varchar) as tablespace, false as hasindexes, false as hasrules,
  false as hastriggers from headrace.relations where kind = 'r';
create or replace view headrace.pg_views as select schema as schemaname, name as viewname, 'rdsdb' as viewowner, definition from headrace.relations where kind = 'v';
create or replace view headrace.pg_table_def as select schema as schemaname, table_name as tablename, name as "column", declared as type, encoding, distkey, sortkey, not nullable as "notnull"
  from headrace.column_facts where kind = 'r';
create or replace view headrace.pg_external_schema as select 0 as esoid, 0 as eskind, '' as esdbname, '' as esoptions where false;
create or replace view headrace.pg_tablespace as select 0 as oid, '' as spcname where false;
create or replace view headrace.pg_stat_activity as select 0 as datid, current_database() as datname, 0 as procpid, 0 as usesysid, '' as usename, '' as current_query where false;
create or replace view headrace.pg_foreign_server as select 0 as oid, '' as srvname where false;
create or replace view headrace.pg_foreign_table as select cast(0 as bigint) as ftrelid, 0 as ftserver, '' as ftoptions where false;
create or replace view headrace.pg_policy as select '' as polname, cast(0 as bigint) as polrelid where false;
create or replace view headrace.pg_publication as select 0 as oid, '' as pubname where false;
create or replace view headrace.pg_statistic_ext as select 0 as oid, cast(0 as bigint) as stxrelid where false;
create or replace view headrace.pg_event_trigger as select 0 as oid, '' as evtname where false;
create or replace view headrace.pg_range as select 0 as rngtypid where false;
create or replace view headrace.pg_enum as select 0 as enumtypid, '' as enumlabel where false;
create or replace view headrace.pg_indexes as select '' as schemaname, '' as tablename, '' as indexname, '' as indexdef where false;
create or replace view headrace.pg_matviews as select schema_name as schemaname, view_name as matviewname, definition from headrace.materialized_views;

-- ---- information_schema and Redshift's own ----------------------------------------------------------------------------
create or replace view headrace.information_tables as select current_database() as table_catalog, schema as table_schema, name as table_name,
  case when temporary then 'LOCAL TEMPORARY' when kind = 'v' then 'VIEW' else 'BASE TABLE' end as table_type, cast(null as varchar) as self_referencing_column_name from headrace.relations;
create or replace view headrace.information_columns as select current_database() as table_catalog, schema as table_schema, table_name, name as column_name, number as ordinal_position,
  coalesce(column_default, case when identity is not null then '"identity"(' || relation || ', ' || number - 1 || ', ''' || identity || ''')' end) as column_default,
  case when nullable then 'YES' else 'NO' end as is_nullable, regexp_replace(declared, '\(.*', '') as data_type,
  case when declared like 'character%' then headrace.hr_type_modifier(declared) - 4 end as character_maximum_length, cast(null as integer) as character_octet_length,
  case when declared like 'numeric%' then (headrace.hr_type_modifier(declared) - 4) >> 16 when declared = 'smallint' then 16 when declared = 'integer' then 32
    when declared = 'bigint' then 64 when declared = 'real' then 24 when declared = 'double precision' then 53 end as numeric_precision,
  case when declared like '%(%' or declared like '%int%' then 2 end as numeric_precision_radix,
  case when declared like 'numeric%' then (headrace.hr_type_modifier(declared) - 4) & 65535 when declared like '%int%' then 0 end as numeric_scale,
  case when declared like 'time%' then 6 end as datetime_precision, case when declared like 'char%' then 'default' end as collation_name,
  replace(replace(regexp_replace(declared, '\(.*', ''), 'character varying', 'varchar'), 'integer', 'int4') as udt_name, cast(null as varchar) as domain_name, cast(null as varchar) as remarks
  from headrace.column_facts;
create or replace view headrace.information_schemata as select current_database() as catalog_name, name as schema_name, 'rdsdb' as schema_owner from headrace.schemata;
create or replace view headrace.information_views as select current_database() as table_catalog, schema as table_schema, name as table_name, definition as view_definition, 'NONE' as check_option,
  'NO' as is_updatable from headrace.relations where kind = 'v';
create or replace view headrace.information_table_constraints as select current_database() as constraint_catalog, schema as constraint_schema, table_name || '_pkey' as constraint_name,
  current_database() as table_catalog, schema as table_schema, table_name, 'PRIMARY KEY' as constraint_type, 'NO' as is_deferrable, 'NO' as initially_deferred
  from headrace.column_facts where primary_key is not null group by schema, table_name;
create or replace view headrace.information_key_column_usage as select current_database() as constraint_catalog, schema as constraint_schema, table_name || '_pkey' as constraint_name,
  current_database() as table_catalog, schema as table_schema, table_name, name as column_name, primary_key as ordinal_position from headrace.column_facts where primary_key is not null;
create or replace view headrace.information_character_sets as select 'UTF8' as character_set_name;
create or replace view headrace.svv_tables as select * exclude (self_referencing_column_name), cast(null as varchar) as remarks from headrace.information_tables;
create or replace view headrace.svv_columns as select * from headrace.information_columns;
create or replace view headrace.svv_all_tables as select table_catalog as database_name, table_schema as schema_name, table_name, replace(table_type, 'BASE TABLE', 'TABLE') as table_type,
  cast(null as varchar) as table_acl, cast(null as varchar) as remarks from headrace.information_tables;
create or replace view headrace.svv_redshift_tables as select * from headrace.svv_all_tables;
create or replace view headrace.svv_all_columns as select table_catalog as database_name, table_schema as schema_name, table_name, column_name, ordinal_position, column_default, is_nullable,
  data_type, character_maximum_length, numeric_precision, numeric_scale, remarks from headrace.information_columns;
create or replace view headrace.svv_redshift_columns as select database_name, schema_name, table_name, column_name, ordinal_position, data_type, column_default, is_nullable, 'none' as encoding,
  false as distkey, 0 as sortkey, '' as column_acl, remarks from headrace.svv_all_columns;
create or replace view headrace.svv_all_schemas as select current_database() as database_name, name as schema_name, 100 as schema_owner, 'local' as schema_type, cast(null as varchar) as schema_acl,
  cast(null as varchar) as source_database, cast(null as varchar) as schema_option from headrace.schemata where name <> 'pg_temp_1';
create or replace view headrace.svv_redshift_schemas as select database_name, schema_name, schema_owner, schema_type, schema_acl, schema_option from headrace.svv_all_schemas;
create or replace view headrace.svv_redshift_databases as select name as database_name, 100 as database_owner, 'local' as database_type, cast(null as varchar) as database_acl,
  cast(null as varchar) as database_options, 'Snapshot Isolation' as database_isolation_level from headrace.databases;
create or replace view headrace.svv_table_info as select current_database() as "database", r.schema, cast(r.oid as bigint) as table_id, r.name as "table", 'N' as encoded,
  coalesce((select 'KEY(' || f.name || ')' from headrace.column_facts f where f.relation = r.oid and f.distkey), 'AUTO(ALL)') as diststyle,
  coalesce((select f.name from headrace.column_facts f where f.relation = r.oid and f.sortkey = 1), 'AUTO(SORTKEY)') as sortkey1,
  cast(0 as bigint) as size, cast(0 as double) as pct_used, cast(r.rows as bigint) as tbl_rows, cast(r.rows as bigint) as estimated_visible_rows, cast(0 as double) as unsorted,
  cast(0 as double) as stats_off from headrace.relations r where kind = 'r';
create or replace view headrace.svv_external_schemas as select 0 as esoid, 1 as eskind, '' as schemaname, 100 as esowner, '' as databasename, '' as esoptions where false;
create or replace view headrace.svv_external_tables as select '' as redshift_database_name, '' as schemaname, '' as tablename, '' as tabletype, '' as location, '' as parameters where false;
create or replace view headrace.svv_external_columns as select '' as redshift_database_name, '' as schemaname, '' as tablename, '' as columnname, '' as external_type, 0 as columnnum, 0 as part_key,
  '' as is_nullable where false;
create or replace view headrace.svv_external_databases as select 0 as eskind, '' as databasename where false;
create or replace view headrace.svv_mv_info as select current_database() as database_name, schema_name, 100 as user_id, view_name as name, 'f' as is_stale, 'dev' as owner_user_name, 1 as state,
  false as autorefresh, false as autorewrite from headrace.materialized_views;
create or replace view headrace.stv_mv_info as select * from headrace.svv_mv_info;
create or replace view headrace.stv_tbl_perm as select 0 as slice, cast(oid as bigint) as id, name, cast(rows as bigint) as rows, 0 as temp from headrace.relations where kind = 'r';
create or replace view headrace.sys_load_history as select 100 as user_id, query_id, 'completed' as status, min(noted_at) as start_time, max(noted_at) as end_time, max(lines_scanned) as loaded_rows,
  count(*) as file_count from headrace.load_commit_rows group by query_id;
create or replace table headrace.history (number bigint, user_name varchar, database_name varchar, pid integer, text varchar, started_at timestamp,
  ended_at timestamp, status varchar, error varchar);
create or replace view headrace.sys_query_history as select 100 as user_id, number as query_id, user_name as username, database_name, pid as session_id, status,
  text as query_text, started_at as start_time, ended_at as end_time, cast(date_diff('microsecond', started_at, coalesce(ended_at, now() at time zone 'UTC')) as bigint) as elapsed_time,
  error as error_message from headrace.history;
create or replace view headrace.stl_query as select 100 as userid, number as query, database_name as "database", text as querytxt, started_at as starttime, ended_at as endtime,
  case when status = 'failed' then 1 else 0 end as aborted, pid from headrace.history;
create or replace view headrace.stv_recents as select 100 as userid, case when ended_at is null then 'Running' else 'Done' end as status, started_at as starttime,
  cast(date_diff('microsecond', started_at, coalesce(ended_at, now() at time zone 'UTC')) as bigint) as duration, user_name, database_name as db_name, text as query, pid from headrace.history;
