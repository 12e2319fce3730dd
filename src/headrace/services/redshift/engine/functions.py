"""Which functions a statement may call, and what each becomes.

Nothing is callable that is not named here: a function of DuckDB that Redshift has not could read the host, and one of the
same name could mean something else.
"""

# Name in Redshift -> macro in schema headrace (macros.sql). Taken out of the parser's own table, so that it does not guess.
MACROS: dict[str, str] = {
    "ADD_MONTHS": "hr_add_months",
    "CAN_JSON_PARSE": "hr_can_json_parse",
    "CHARACTER_LENGTH": "hr_length",
    "CHARINDEX": "hr_charindex",
    "CHAR_LENGTH": "hr_length",
    "CONCAT": "hr_concat",
    "FORMAT_TYPE": "hr_format_type",
    "GETDATE": "hr_getdate",
    "GET_ARRAY_LENGTH": "hr_get_array_length",
    "HAS_DATABASE_PRIVILEGE": "hr_true",
    "HAS_SCHEMA_PRIVILEGE": "hr_true",
    "HAS_TABLE_PRIVILEGE": "hr_true",
    "INITCAP": "hr_initcap",
    "IS_ARRAY": "hr_is_array",
    "IS_BIGINT": "hr_is_bigint",
    "IS_BOOLEAN": "hr_is_boolean",
    "IS_FLOAT": "hr_is_float",
    "IS_OBJECT": "hr_is_object",
    "IS_SCALAR": "hr_is_scalar",
    "IS_VALID_JSON": "hr_is_valid_json",
    "IS_VALID_JSON_ARRAY": "hr_is_valid_json_array",
    "IS_VARCHAR": "hr_is_varchar",
    "JSON_ARRAY_LENGTH": "hr_json_array_length",
    "JSON_EXTRACT_ARRAY_ELEMENT_TEXT": "hr_json_element",
    "JSON_PARSE": "hr_json_parse",
    "JSON_SERIALIZE": "hr_json_serialize",
    "JSON_TYPEOF": "hr_json_typeof",
    "LEN": "hr_length",
    "LENGTH": "hr_length",
    "LPAD": "hr_lpad",
    "OBJ_DESCRIPTION": "hr_null",
    "COL_DESCRIPTION": "hr_null",
    "SHOBJ_DESCRIPTION": "hr_null",
    "OCTET_LENGTH": "hr_octet_length",
    "PG_ENCODING_TO_CHAR": "hr_encoding",
    "PG_FUNCTION_IS_VISIBLE": "hr_true",
    "PG_GET_CONSTRAINTDEF": "hr_null",
    "PG_GET_EXPR": "hr_null",
    "PG_GET_INDEXDEF": "hr_null",
    "PG_GET_USERBYID": "hr_user_name",
    "PG_GET_VIEWDEF": "hr_null",
    "PG_TABLE_IS_VISIBLE": "hr_true",
    "PG_TYPE_IS_VISIBLE": "hr_true",
    "QUOTE_IDENT": "hr_quote_ident",
    "QUOTE_LITERAL": "hr_quote_literal",
    "REGEXP_COUNT": "hr_regexp_count",
    "REGEXP_INSTR": "hr_regexp_instr",
    "REGEXP_REPLACE": "hr_regexp_replace",
    "REGEXP_SUBSTR": "hr_regexp_substr",
    "RPAD": "hr_rpad",
    "SHA2": "hr_sha2",
    "SPLIT_PART": "hr_split_part",
    "STRPOS": "hr_strpos",
    "STRTOL": "hr_strtol",
    "SUBSTR": "hr_substring",
    "SYSDATE": "hr_sysdate",
    "TEXTLEN": "hr_length",
    "TO_HEX": "hr_to_hex",
    "TRUNC": "hr_trunc",
}

# Name in Redshift -> the same thing under DuckDB's name.
RENAMED: dict[str, str] = {
    "ARRAY": "json_array",
    "ASCII": "ascii",
    "BTRIM": "trim",
    "CHR": "chr",
    "CBRT": "cbrt",
    "CURRENT_SCHEMAS": "current_schemas",
    "DEXP": "exp",
    "DLOG1": "ln",
    "DLOG10": "log10",
    "FUNC_SHA1": "sha1",
    "GENERATE_SERIES": "generate_series",
    "LTRIM": "ltrim",
    "MD5": "md5",
    "OBJECT": "json_object",
    "PI": "pi",
    "RANDOM": "random",
    "REPEAT": "repeat",
    "REPLICATE": "repeat",
    "REVERSE": "reverse",
    "RTRIM": "rtrim",
    "SHA": "sha1",
    "SHA1": "sha1",
    "TRANSLATE": "translate",
    "ARRAY_TO_STRING": "array_to_string",
}

# Values of the session: the name of a slot that the session fills in.
SESSION: dict[str, str] = {
    "CURRENT_DATABASE": "database",
    "CURRENT_SCHEMA": "schema",
    "CURRENT_USER": "user",
    "CURRENT_USER_ID": "user_id",
    "PG_BACKEND_PID": "pid",
    "PG_LAST_COPY_COUNT": "last_copy_count",
    "PG_LAST_COPY_ID": "last_copy_id",
    "PG_LAST_QUERY_ID": "last_query_id",
    "SESSION_USER": "user",
    "USER": "user",
    "VERSION": "version",
}

# Names whose meaning is built by a rule of its own (dialect.py).
OWN = frozenset(("JSON_EXTRACT_PATH_TEXT", "RATIO_TO_REPORT", "CURRENT_SETTING"))

# The parser's own nodes which it turns into DuckDB's SQL rightly: each is held by a test against a known value.
NODES = frozenset(
    ["Abs", "Acos", "And", "AnyValue", "ApproxDistinct", "Array", "Asin", "Atan", "Atan2", "Avg", "BitwiseAndAgg", "BitwiseOrAgg", "Cast", "Case", "Ceil", "Coalesce", "Cos", "Cot", "Count", "CountIf", "CumeDist", "CurrentDate", "CurrentTimestamp", "CurrentTime", "DPipe", "DateAdd", "DateDiff", "DateTrunc", "DecodeCase", "Degrees", "DenseRank", "Exists", "Exp", "Explode", "Extract", "FirstValue", "Floor", "Greatest", "GroupConcat", "If", "ILike", "JSONExtract", "Lag", "LastDay", "LastValue", "Lead", "Least", "Left", "Length", "Like", "Ln", "Log", "LogicalAnd", "LogicalOr", "Lower", "MD5", "Max", "Median", "Min", "Mod", "MonthsBetween", "NextDay", "NthValue", "Ntile", "Nullif", "Nvl2", "Or", "ParseJSON", "PercentRank", "PercentileCont", "PercentileDisc", "Pi", "Pow", "Radians", "Rand", "Rank", "RegexpILike", "RegexpLike", "Repeat", "Replace", "Reverse", "Right", "Round", "RowNumber", "SHA", "SHA2", "Sign", "Sin", "Sqrt", "StartsWith", "Stddev", "StddevPop", "StddevSamp", "StrPosition", "StrToDate", "StrToTime", "Sum", "Tan", "TimeToStr", "TimestampTrunc", "Translate", "Trim", "TryCast", "TsOrDsAdd", "TsOrDsDiff", "TsOrDsToDate", "Unnest", "Upper", "Variance", "VariancePop", "Xor", "ConvertTimezone", "FromTimeZone", "ToChar", "Chr", "Ascii", "GenerateSeries", "ArrayAgg"]
)
