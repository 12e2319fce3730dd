-- What the warehouse keeps for itself, and Redshift's system tables as views on DuckDB's.
create table if not exists headrace.loads (manifest_id varchar primary key, row_count bigint, noted_at timestamp);
create sequence if not exists headrace.query_numbers start 100;
create table if not exists headrace.load_error_rows (query_id bigint, table_name varchar, schema_name varchar, filename varchar,
  line_number bigint, column_name varchar, column_type varchar, raw_line varchar, raw_value varchar, error_code integer, error_message varchar,
  noted_at timestamp);
create table if not exists headrace.load_commit_rows (query_id bigint, filename varchar, lines_scanned bigint, noted_at timestamp);
create table if not exists headrace.materialized_views (schema_name varchar, view_name varchar, definition varchar, refreshed_at timestamp);
create or replace view headrace.stl_load_errors as select 100 as userid, 0 as slice, 0 as tbl, noted_at as starttime, query_id as query,
  filename, line_number, column_name as colname, column_type as type, 0 as position, raw_line, raw_value as raw_field_value,
  error_code as err_code, error_message as err_reason from headrace.load_error_rows;
create or replace view headrace.sys_load_error_detail as select 100 as user_id, query_id, table_name, noted_at as start_time, filename as file_name,
  line_number, column_name, column_type, error_code, error_message, raw_line, raw_value as raw_field_value from headrace.load_error_rows;
create or replace view headrace.stl_load_commits as select 100 as userid, query_id as query, 0 as slice, filename, lines_scanned, noted_at as curtime,
  1 as status from headrace.load_commit_rows;
