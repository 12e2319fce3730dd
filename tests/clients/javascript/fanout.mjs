// The AWS SDK for JavaScript v3: put, get, subscribe. Arguments: stream, how many records.
import assert from "node:assert";
import {
  CreateStreamCommand,
  DeleteStreamCommand,
  DescribeStreamConsumerCommand,
  DescribeStreamSummaryCommand,
  GetRecordsCommand,
  GetShardIteratorCommand,
  KinesisClient,
  ListShardsCommand,
  PutRecordCommand,
  PutRecordsCommand,
  RegisterStreamConsumerCommand,
  SubscribeToShardCommand,
  waitUntilStreamExists,
} from "@aws-sdk/client-kinesis";

const [stream, count] = [process.argv[2], Number(process.argv[3])];
const kinesis = new KinesisClient({});
const text = (data) => Buffer.from(data).toString();

await kinesis.send(new CreateStreamCommand({ StreamName: stream, ShardCount: 1 }));
await waitUntilStreamExists({ client: kinesis, maxWaitTime: 30 }, { StreamName: stream });
const { StreamDescriptionSummary: summary } = await kinesis.send(new DescribeStreamSummaryCommand({ StreamName: stream }));
const { Shards: [shard] } = await kinesis.send(new ListShardsCommand({ StreamName: stream }));
const { Consumer: consumer } = await kinesis.send(
  new RegisterStreamConsumerCommand({ StreamARN: summary.StreamARN, ConsumerName: "javascript" }),
);
const named = { ConsumerARN: consumer.ConsumerARN };
while ((await kinesis.send(new DescribeStreamConsumerCommand(named))).ConsumerDescription.ConsumerStatus !== "ACTIVE");

const subscription = await kinesis.send(
  new SubscribeToShardCommand({ ...named, ShardId: shard.ShardId, StartingPosition: { Type: "LATEST" } }),
);
const expected = Array.from({ length: count }, (_, number) => `record ${number}`);
const half = expected.splice(count / 2);
const putting = (async () => {
  for (const one of expected) {
    await kinesis.send(new PutRecordCommand({ StreamName: stream, PartitionKey: "k", Data: Buffer.from(one) }));
  }
  const records = half.map((one) => ({ PartitionKey: "k", Data: Buffer.from(one) }));
  const answer = await kinesis.send(new PutRecordsCommand({ StreamName: stream, Records: records }));
  assert.equal(answer.FailedRecordCount, 0);
})();
const pushed = [];
for await (const event of subscription.EventStream) {
  pushed.push(...event.SubscribeToShardEvent.Records.map((record) => text(record.Data)));
  if (pushed.length >= count) break;
}
await putting;
assert.deepEqual(pushed, [...expected, ...half]);

let { ShardIterator: iterator } = await kinesis.send(
  new GetShardIteratorCommand({ StreamName: stream, ShardId: shard.ShardId, ShardIteratorType: "TRIM_HORIZON" }),
);
const polled = [];
while (polled.length < count) {
  const answer = await kinesis.send(new GetRecordsCommand({ ShardIterator: iterator }));
  polled.push(...answer.Records.map((record) => text(record.Data)));
  iterator = answer.NextShardIterator;
}
assert.deepEqual(polled, pushed);
await kinesis.send(new DeleteStreamCommand({ StreamName: stream, EnforceConsumerDeletion: true }));
console.log(`ok ${count}`);
process.exit(0);
