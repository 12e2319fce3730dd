-- Counts the records of each key of one stream into another. Every change of a count is a record there.
SET 'parallelism.default' = '2';
SET 'execution.checkpointing.interval' = '1s';
SET 'restart-strategy.type' = 'fixed-delay';
SET 'restart-strategy.fixed-delay.attempts' = '100';
SET 'restart-strategy.fixed-delay.delay' = '1s';
SET 'table.exec.mini-batch.enabled' = 'true';
SET 'table.exec.mini-batch.allow-latency' = '500 ms';
SET 'table.exec.mini-batch.size' = '5000';

CREATE TABLE records_in (k STRING, n BIGINT) WITH (
  'connector' = 'kinesis', 'stream' = 'flink-in', 'format' = 'json', 'scan.stream.initpos' = 'TRIM_HORIZON',
  'scan.shard.getrecords.intervalmillis' = '200', 'scan.stream.recordpublisher' = '{publisher}',
  'scan.stream.efo.consumername' = 'flink', {connection}
);

CREATE TABLE counts_out (k STRING, records BIGINT, total BIGINT) WITH (
  'connector' = 'kinesis', 'stream' = '{out}', 'format' = 'debezium-json', 'sink.batch.max-size' = '500', {connection}
);

INSERT INTO counts_out SELECT k, COUNT(*), SUM(n) FROM records_in GROUP BY k;
