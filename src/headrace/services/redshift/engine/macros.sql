-- Redshift's functions where DuckDB has none, or has another meaning under the same name.
-- Overloads by type keep what a type decides in Redshift. Run once for each database file, in schema headrace.
-- Not by overloads: an INTEGER would rather be cast to VARCHAR than take the untyped one. DuckDB folds typeof() when it binds.
create or replace macro headrace.hr_text(x) as
  case when typeof(x) = 'JSON' then json_extract_string(cast(x as varchar), '$') else cast(x as varchar) end;
create or replace macro headrace.hr_value(x) as case when typeof(x) = 'JSON' and cast(x as varchar) = 'null' then null else x end;
create or replace macro headrace.hr_literal(given, x) as
  cast_to_type(case when typeof(x) = 'JSON' then cast(to_json(given) as varchar) else given end, x);
create or replace macro headrace.hr_nonzero(x) as case when x = 0 then error('division by zero') else x end;
create or replace macro headrace.hr_concat(a, b) as a || b;
create or replace macro headrace.hr_trunc(x timestamp) as cast(x as date), (x) as trunc(x), (x, places) as trunc(x, places);
create or replace macro headrace.hr_getdate() as cast(date_trunc('second', now() at time zone 'UTC') as timestamp);
create or replace macro headrace.hr_sysdate() as cast(now() at time zone 'UTC' as timestamp);
create or replace macro headrace.hr_substring(x, s) as substring(cast(x as varchar), greatest(cast(s as bigint), 1)),
  (x, s, n) as case when n < 0 then error('negative substring length not allowed')
                    else substring(cast(x as varchar), greatest(cast(s as bigint), 1), greatest(least(cast(s as bigint), 1) + n - 1, 0)) end;
create or replace macro headrace.hr_regexp_replace(x, p) as regexp_replace(x, p, '', 'g'),
  (x, p, r) as regexp_replace(x, p, regexp_replace(r, '\$(\d)', '\\\1', 'g'), 'g');
create or replace macro headrace.hr_regexp_count(x, p) as cast(len(regexp_extract_all(x, p)) as integer);
create or replace macro headrace.hr_regexp_substr(x, p) as regexp_extract(x, p);
create or replace macro headrace.hr_regexp_instr(x, p) as
  cast(case when regexp_matches(x, p) then strpos(x, regexp_extract(x, p)) else 0 end as integer);
create or replace macro headrace.hr_length(x) as cast(length(cast(x as varchar)) as integer);
create or replace macro headrace.hr_octet_length(x) as cast(strlen(cast(x as varchar)) as integer);
create or replace macro headrace.hr_strpos(x, y) as cast(strpos(x, y) as integer);
create or replace macro headrace.hr_charindex(y, x) as cast(strpos(x, y) as integer);
create or replace macro headrace.hr_lpad(x, n) as lpad(x, n, ' '), (x, n, f) as lpad(x, n, f);
create or replace macro headrace.hr_rpad(x, n) as rpad(x, n, ' '), (x, n, f) as rpad(x, n, f);
create or replace macro headrace.hr_initcap(x) as array_to_string(list_transform(regexp_extract_all(x, '[[:alnum:]]+|[^[:alnum:]]+'),
  lambda w : upper(substring(w, 1, 1)) || lower(substring(w, 2))), '');
create or replace macro headrace.hr_split_part(x, d, n) as case when n < 1 then error('field position must be greater than zero')
  else split_part(x, d, n) end;
create or replace macro headrace.hr_strtol(x, b) as
  case when x is null then null when regexp_matches(lower(x), '^[+-]?[0-9a-z]+$') then
    case when starts_with(x, '-') then -1 else 1 end * list_reduce(list_transform(string_split(ltrim(lower(x), '+-'), ''),
      lambda c : case when strpos('0123456789abcdefghijklmnopqrstuvwxyz', c) between 1 and b
                 then cast(strpos('0123456789abcdefghijklmnopqrstuvwxyz', c) - 1 as bigint)
                 else error('The input ' || x || ' is not valid to be converted to base ' || b) end),
      lambda a, c : a * b + c)
  else error('The input ' || x || ' is not valid to be converted to base ' || b) end;
create or replace macro headrace.hr_to_hex(x) as lower(to_hex(x));
create or replace macro headrace.hr_sha2(x, bits) as case when bits in (0, 256) then sha256(x) else error('sha2: only 256 bits are supported') end;
create or replace macro headrace.hr_add_months(d, n) as cast(case when cast(d as date) = last_day(cast(d as date))
  then last_day(cast(d as date) + to_months(cast(n as integer))) + (cast(d as timestamp) - cast(cast(d as date) as timestamp))
  else cast(d as timestamp) + to_months(cast(n as integer)) end as timestamp);
create or replace macro headrace.hr_json_text(x, path) as case when x is null or json_valid(x) then json_extract_string(x, path)
  else error('Invalid JSON: ' || x) end;
create or replace macro headrace.hr_json_text_or_null(x, path) as case when json_valid(x) then json_extract_string(x, path) end;
create or replace macro headrace.hr_json_array_length(x) as cast(case when x is null then null when not json_valid(x) then error('Invalid JSON: ' || x)
  when json_type(x) = 'ARRAY' then json_array_length(x) else error('the JSON text is no array') end as integer);
create or replace macro headrace.hr_json_element(x, i) as case when x is null then null when not json_valid(x) then error('Invalid JSON: ' || x)
  when i < 0 then null else json_extract_string(x, '$[' || i || ']') end;
create or replace macro headrace.hr_is_valid_json(x) as case when x is null then null else json_valid(x) and json_type(x) = 'OBJECT' end;
create or replace macro headrace.hr_is_valid_json_array(x) as case when x is null then null else json_valid(x) and json_type(x) = 'ARRAY' end;
create or replace macro headrace.hr_json_parse(x) as case when x is null then null when json_valid(x) then cast(x as json) else error('Invalid JSON: ' || x) end;
create or replace macro headrace.hr_can_json_parse(x) as case when x is null then null else json_valid(x) end;
create or replace macro headrace.hr_json_serialize(x) as cast(cast(x as json) as varchar);
create or replace macro headrace.hr_json_typeof(x) as case json_type(x) when 'OBJECT' then 'object' when 'ARRAY' then 'array'
  when 'VARCHAR' then 'string' when 'BOOLEAN' then 'boolean' when 'NULL' then 'null' when null then null else 'number' end;
create or replace macro headrace.hr_is_object(x) as json_type(x) = 'OBJECT';
create or replace macro headrace.hr_is_array(x) as json_type(x) = 'ARRAY';
create or replace macro headrace.hr_is_scalar(x) as json_type(x) not in ('OBJECT', 'ARRAY');
create or replace macro headrace.hr_is_varchar(x) as json_type(x) = 'VARCHAR';
create or replace macro headrace.hr_is_boolean(x) as json_type(x) = 'BOOLEAN';
create or replace macro headrace.hr_is_bigint(x) as json_type(x) in ('BIGINT', 'UBIGINT');
create or replace macro headrace.hr_is_float(x) as json_type(x) = 'DOUBLE';
create or replace macro headrace.hr_get_array_length(x) as case when json_type(x) = 'ARRAY' then cast(json_array_length(x) as integer) end;
create or replace macro headrace.hr_super_value(x) as case when json_type(x) = 'NULL' then null else x end;
create or replace macro headrace.hr_format_type(o, m) as case o when 16 then 'boolean' when 17 then 'bytea' when 20 then 'bigint'
  when 21 then 'smallint' when 23 then 'integer' when 25 then 'text' when 26 then 'oid' when 700 then 'real' when 701 then 'double precision'
  when 1042 then 'character' || case when m > 4 then '(' || (m - 4) || ')' else '' end
  when 1043 then 'character varying' || case when m > 4 then '(' || (m - 4) || ')' else '' end
  when 1082 then 'date' when 1083 then 'time without time zone' when 1114 then 'timestamp without time zone'
  when 1184 then 'timestamp with time zone' when 1186 then 'interval' when 4000 then 'super' when 6551 then 'binary varying'
  when 1700 then 'numeric' || case when m > 4 then '(' || ((m - 4) >> 16) || ',' || ((m - 4) & 65535) || ')' else '' end
  else '???' end;
create or replace macro headrace.hr_true() as true, (a) as true, (a, b) as true, (a, b, c) as true;
create or replace macro headrace.hr_null() as cast(null as varchar), (a) as cast(null as varchar), (a, b) as cast(null as varchar), (a, b, c) as cast(null as varchar);
create or replace macro headrace.hr_first(a) as a, (a, b) as a, (a, b, c) as a;
create or replace macro headrace.hr_encoding(n) as 'UTF8';
create or replace macro headrace.hr_user_name(n) as 'rdsdb';
create or replace macro headrace.hr_quote_ident(x) as case when regexp_matches(x, '^[a-z_][a-z0-9_]*$') then x else '"' || replace(x, '"', '""') || '"' end;
create or replace macro headrace.hr_quote_literal(x) as '''' || replace(x, '''', '''''') || '''';
create or replace macro headrace.hr_cut_bytes(x, n) as array_to_string(list_transform(list_filter(list_zip(string_split(x, ''),
  list_transform(range(1, length(x) + 1), lambda i : strlen(left(x, i)))), lambda p : p[2] <= n), lambda p : p[1]), '');
