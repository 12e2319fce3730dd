"""A PyFlink application as AWS's examples are: properties from the runtime's file, connectors from a jar beside it."""

import json
import os

from pyflink.table import EnvironmentSettings, TableEnvironment
from pyflink.table.udf import udf
from words import number_of

with open("/etc/flink/application_properties.json") as file:
    given = next(group["PropertyMap"] for group in json.load(file) if group["PropertyGroupId"] == "counts")

tables = TableEnvironment.create(EnvironmentSettings.in_streaming_mode())
connection = f"'connector' = 'kinesis', 'aws.region' = '{os.environ['AWS_REGION']}', 'aws.endpoint' = '{given['endpoint']}'"
tables.create_temporary_function("number_of", udf(number_of, result_type="BIGINT"))
tables.execute_sql(
    f"CREATE TABLE records_in (k STRING, n BIGINT) WITH ('stream' = '{given['in']}', 'format' = 'json',"
    f" 'scan.stream.initpos' = 'TRIM_HORIZON', 'scan.shard.getrecords.intervalmillis' = '200', {connection})"
)
tables.execute_sql(
    f"CREATE TABLE counts_out (k STRING, records BIGINT, total BIGINT) WITH ('stream' = '{given['out']}',"
    f" 'format' = 'debezium-json', 'sink.batch.max-size' = '500', {connection})"
)
tables.execute_sql("INSERT INTO counts_out SELECT k, COUNT(*), SUM(number_of(n)) FROM records_in GROUP BY k")
