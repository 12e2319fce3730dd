// The AWS SDK for JavaScript v3 on DynamoDB, through its document client. Argument: the table's name.
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import {
  CreateTableCommand, DeleteTableCommand, DescribeTableCommand, DynamoDBClient, waitUntilTableExists, waitUntilTableNotExists,
} from "@aws-sdk/client-dynamodb";
import { DescribeStreamCommand, DynamoDBStreamsClient, GetRecordsCommand, GetShardIteratorCommand } from "@aws-sdk/client-dynamodb-streams";
import {
  BatchGetCommand, BatchWriteCommand, DeleteCommand, DynamoDBDocumentClient, ExecuteStatementCommand, GetCommand, NumberValue,
  paginateQuery, paginateScan, PutCommand, QueryCommand, TransactGetCommand, TransactWriteCommand, UpdateCommand,
} from "@aws-sdk/lib-dynamodb";

const TableName = process.argv[2];
const bare = new DynamoDBClient({});
const client = DynamoDBDocumentClient.from(bare, { marshallOptions: { removeUndefinedValues: true } });
const exact = DynamoDBDocumentClient.from(new DynamoDBClient({}), { unmarshallOptions: { wrapNumbers: NumberValue.from } });

async function create() {
  await bare.send(new CreateTableCommand({
    TableName, BillingMode: "PAY_PER_REQUEST",
    AttributeDefinitions: ["customer", "status"].map((AttributeName) => ({ AttributeName, AttributeType: "S" }))
      .concat({ AttributeName: "number", AttributeType: "N" }, { AttributeName: "total", AttributeType: "N" }),
    KeySchema: [{ AttributeName: "customer", KeyType: "HASH" }, { AttributeName: "number", KeyType: "RANGE" }],
    GlobalSecondaryIndexes: [{
      IndexName: "by-status", Projection: { ProjectionType: "INCLUDE", NonKeyAttributes: ["lines"] },
      KeySchema: [{ AttributeName: "status", KeyType: "HASH" }, { AttributeName: "number", KeyType: "RANGE" }],
    }],
    LocalSecondaryIndexes: [{
      IndexName: "by-total", Projection: { ProjectionType: "ALL" },
      KeySchema: [{ AttributeName: "customer", KeyType: "HASH" }, { AttributeName: "total", KeyType: "RANGE" }],
    }],
    StreamSpecification: { StreamEnabled: true, StreamViewType: "NEW_AND_OLD_IMAGES" },
  }));
  await waitUntilTableExists({ client: bare, maxWaitTime: 60 }, { TableName });
}

// One item of every kind of value, with conditions that hold and that do not.
async function single() {
  const Item = {
    customer: "ada", number: 1, status: "new", total: 12.5, paid: false, nothing: null, raw: new Uint8Array([0, 255]),
    tags: new Set(["a", "b"]), sizes: new Set([1, 2]), lines: [{ product: "pen", count: 2 }], notes: { to: "the door", left: undefined },
  };
  const put = { TableName, Item, ConditionExpression: "attribute_not_exists(customer)", ReturnValuesOnConditionCheckFailure: "ALL_OLD" };
  await client.send(new PutCommand(put));
  await assert.rejects(client.send(new PutCommand(put)), (error) => {
    assert.equal(error.name, "ConditionalCheckFailedException");
    assert.equal(error.Item.customer.S, "ada");
    return true;
  });
  const Key = { customer: "ada", number: 1 };
  const expected = { ...Item, notes: { to: "the door" } };
  assert.deepEqual((await client.send(new GetCommand({ TableName, Key, ConsistentRead: true }))).Item, expected);
  const overlapping = {
    TableName, Key, ExpressionAttributeNames: { "#l": "lines" }, UpdateExpression: "SET #l[0].product = :p, #l = :p", ExpressionAttributeValues: { ":p": "x" },
  };
  await assert.rejects(client.send(new UpdateCommand(overlapping)), /Two document paths overlap/);
  await exact.send(new UpdateCommand({
    TableName, Key, ReturnValues: "ALL_NEW",
    UpdateExpression: "SET #l = list_append(#l, :more), #t = :exact ADD tags :tag REMOVE notes",
    ConditionExpression: "#s IN (:new, :late) AND contains(tags, :a) AND size(#r) = :two",
    ExpressionAttributeNames: { "#l": "lines", "#s": "status", "#t": "total", "#r": "raw" },
    ExpressionAttributeValues: {
      ":more": [{ product: "cap" }], ":exact": NumberValue.from("1234567890123456789.000000000001"),
      ":tag": new Set(["c"]), ":new": "new", ":late": "late", ":a": "a", ":two": 2,
    },
  }));
  const updated = await client.send(new GetCommand({
    TableName, Key, ProjectionExpression: "tags, #l", ExpressionAttributeNames: { "#l": "lines" },
  }));
  assert.deepEqual(updated.Item, { tags: new Set(["a", "b", "c"]), lines: [{ product: "pen", count: 2 }, { product: "cap" }] });
  const total = (await exact.send(new GetCommand({ TableName, Key, ProjectionExpression: "#t", ExpressionAttributeNames: { "#t": "total" } }))).Item.total;
  assert.equal(total.toString(), "1234567890123456789.000000000001");
}

// A batch, read by pages, by both indexes and by its keys.
async function many() {
  const PutRequests = Array.from({ length: 25 }, (_, number) => (
    { PutRequest: { Item: { customer: "bob", number, status: number % 2 ? "sent" : "new", total: 100 - number, lines: [number] } } }));
  const wrote = await client.send(new BatchWriteCommand({ RequestItems: { [TableName]: PutRequests } }));
  assert.deepEqual(wrote.UnprocessedItems, {});
  const numbers = [];
  let pages = 0;
  for await (const page of paginateQuery({ client, pageSize: 4 }, {
    TableName, KeyConditionExpression: "customer = :c AND #n BETWEEN :from AND :to", FilterExpression: "#s = :sent",
    ProjectionExpression: "#n", ScanIndexForward: false, ExpressionAttributeNames: { "#n": "number", "#s": "status" },
    ExpressionAttributeValues: { ":c": "bob", ":from": 3, ":to": 20, ":sent": "sent" },
  })) {
    numbers.push(...page.Items.map((item) => item.number));
    pages += 1;
  }
  assert.deepEqual(numbers, [19, 17, 15, 13, 11, 9, 7, 5, 3]);
  assert.equal(pages, 5);
  const found = await client.send(new QueryCommand({
    TableName, IndexName: "by-status", KeyConditionExpression: "#s = :s", ExpressionAttributeNames: { "#s": "status" },
    ExpressionAttributeValues: { ":s": "sent" },
  }));
  assert.deepEqual(found.Items[0], { customer: "bob", number: 1, status: "sent", lines: [1] });
  assert.equal(found.Count, 12);
  const least = await client.send(new QueryCommand({
    TableName, IndexName: "by-total", KeyConditionExpression: "customer = :c AND #t < :t", ExpressionAttributeNames: { "#t": "total" },
    ExpressionAttributeValues: { ":c": "bob", ":t": 79 }, ReturnConsumedCapacity: "INDEXES",
  }));
  assert.deepEqual(least.Items.map((item) => item.total), [76, 77, 78]);
  assert.equal(least.ConsumedCapacity.LocalSecondaryIndexes["by-total"].CapacityUnits, 0.5);
  const got = await client.send(new BatchGetCommand({
    RequestItems: { [TableName]: { Keys: [1, 24, 99].map((number) => ({ customer: "bob", number })) } },
  }));
  assert.deepEqual(got.Responses[TableName].map((item) => item.number).sort((a, b) => a - b), [1, 24]);
  let scanned = 0;
  for (const Segment of [0, 1]) {
    for await (const page of paginateScan({ client: exact, pageSize: 7 }, { TableName, Segment, TotalSegments: 2 })) {
      scanned += page.Items.length;
    }
  }
  assert.equal(scanned, 26);
  const stated = await client.send(new ExecuteStatementCommand({
    Statement: `SELECT "number" FROM "${TableName}" WHERE customer = ? AND "number" < ?`, Parameters: ["bob", 2],
  }));
  assert.deepEqual(stated.Items, [{ number: 0 }, { number: 1 }]);
}

// Transactions; one is cancelled whole.
async function together() {
  const put = (number) => ({
    Put: { TableName, Item: { customer: "cyd", number, status: "new" }, ConditionExpression: "attribute_not_exists(customer)" },
  });
  const remove = { Delete: { TableName, Key: { customer: "bob", number: 0 } } };
  const write = { ClientRequestToken: randomUUID(), TransactItems: [put(1), put(2), remove] };
  await client.send(new TransactWriteCommand(write));
  await client.send(new TransactWriteCommand(write));
  await assert.rejects(client.send(new TransactWriteCommand({ TransactItems: [put(3), put(1)] })), (error) => {
    assert.equal(error.name, "TransactionCanceledException");
    assert.deepEqual(error.CancellationReasons.map((reason) => reason.Code), ["None", "ConditionalCheckFailed"]);
    return true;
  });
  const read = await client.send(new TransactGetCommand({
    TransactItems: [1, 2, 3].map((number) => ({ Get: { TableName, Key: { customer: "cyd", number } } })),
  }));
  assert.deepEqual(read.Responses.map((one) => one.Item?.number), [1, 2, undefined]);
  const removed = await client.send(new DeleteCommand({ TableName, Key: { customer: "cyd", number: 2 }, ReturnValues: "ALL_OLD" }));
  assert.deepEqual(removed.Attributes, { customer: "cyd", number: 2, status: "new" });
}

async function changes() {
  const streams = new DynamoDBStreamsClient({});
  const StreamArn = (await bare.send(new DescribeTableCommand({ TableName }))).Table.LatestStreamArn;
  const described = await streams.send(new DescribeStreamCommand({ StreamArn }));
  const found = { INSERT: 0, MODIFY: 0, REMOVE: 0 };
  for (const { ShardId } of described.StreamDescription.Shards) {
    let { ShardIterator } = await streams.send(new GetShardIteratorCommand({ StreamArn, ShardId, ShardIteratorType: "TRIM_HORIZON" }));
    while (ShardIterator) {
      const page = await streams.send(new GetRecordsCommand({ ShardIterator }));
      page.Records.forEach((record) => { found[record.eventName] += 1; });
      ShardIterator = page.Records.length ? page.NextShardIterator : undefined;
    }
  }
  assert.deepEqual(found, { INSERT: 28, MODIFY: 1, REMOVE: 2 });
}

await create();
await single();
await many();
await together();
await changes();
await bare.send(new DeleteTableCommand({ TableName }));
await waitUntilTableNotExists({ client: bare, maxWaitTime: 60 }, { TableName });
console.log("ok");
