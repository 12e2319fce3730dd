package headrace;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import java.util.stream.Collectors;
import software.amazon.awssdk.enhanced.dynamodb.DynamoDbEnhancedClient;
import software.amazon.awssdk.enhanced.dynamodb.DynamoDbTable;
import software.amazon.awssdk.enhanced.dynamodb.Expression;
import software.amazon.awssdk.enhanced.dynamodb.Key;
import software.amazon.awssdk.enhanced.dynamodb.TableSchema;
import software.amazon.awssdk.enhanced.dynamodb.extensions.annotations.DynamoDbVersionAttribute;
import software.amazon.awssdk.enhanced.dynamodb.mapper.annotations.DynamoDbBean;
import software.amazon.awssdk.enhanced.dynamodb.mapper.annotations.DynamoDbPartitionKey;
import software.amazon.awssdk.enhanced.dynamodb.mapper.annotations.DynamoDbSecondaryPartitionKey;
import software.amazon.awssdk.enhanced.dynamodb.mapper.annotations.DynamoDbSecondarySortKey;
import software.amazon.awssdk.enhanced.dynamodb.mapper.annotations.DynamoDbSortKey;
import software.amazon.awssdk.enhanced.dynamodb.model.BatchGetItemEnhancedRequest;
import software.amazon.awssdk.enhanced.dynamodb.model.BatchWriteItemEnhancedRequest;
import software.amazon.awssdk.enhanced.dynamodb.model.PutItemEnhancedRequest;
import software.amazon.awssdk.enhanced.dynamodb.model.QueryConditional;
import software.amazon.awssdk.enhanced.dynamodb.model.ReadBatch;
import software.amazon.awssdk.enhanced.dynamodb.model.TransactGetItemsEnhancedRequest;
import software.amazon.awssdk.enhanced.dynamodb.model.TransactPutItemEnhancedRequest;
import software.amazon.awssdk.enhanced.dynamodb.model.TransactWriteItemsEnhancedRequest;
import software.amazon.awssdk.enhanced.dynamodb.model.WriteBatch;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;
import software.amazon.awssdk.services.dynamodb.model.CancellationReason;
import software.amazon.awssdk.services.dynamodb.model.ConditionalCheckFailedException;
import software.amazon.awssdk.services.dynamodb.model.ProjectionType;
import software.amazon.awssdk.services.dynamodb.model.StreamViewType;
import software.amazon.awssdk.services.dynamodb.model.TransactionCanceledException;
import software.amazon.awssdk.services.dynamodb.streams.DynamoDbStreamsClient;

/** The enhanced client: beans, versions, indexes, batches, transactions, and the stream. Argument: the table's name. */
public final class Enhanced {
    /** What the table keeps; the version is the client's own: each write has a condition on it. */
    @DynamoDbBean
    public static class Order {
        private String customer;
        private Integer number;
        private String status;
        private Double total;
        private Set<String> tags;
        private List<String> lines;
        private Map<String, Integer> counts;
        private Long version;

        @DynamoDbPartitionKey
        public String getCustomer() { return customer; }
        public void setCustomer(String value) { customer = value; }
        @DynamoDbSortKey
        @DynamoDbSecondarySortKey(indexNames = "by-status")
        public Integer getNumber() { return number; }
        public void setNumber(Integer value) { number = value; }
        @DynamoDbSecondaryPartitionKey(indexNames = "by-status")
        public String getStatus() { return status; }
        public void setStatus(String value) { status = value; }
        @DynamoDbSecondarySortKey(indexNames = "by-total")
        public Double getTotal() { return total; }
        public void setTotal(Double value) { total = value; }
        public Set<String> getTags() { return tags; }
        public void setTags(Set<String> value) { tags = value; }
        public List<String> getLines() { return lines; }
        public void setLines(List<String> value) { lines = value; }
        public Map<String, Integer> getCounts() { return counts; }
        public void setCounts(Map<String, Integer> value) { counts = value; }
        @DynamoDbVersionAttribute
        public Long getVersion() { return version; }
        public void setVersion(Long value) { version = value; }
    }

    private final DynamoDbClient bare = DynamoDbClient.builder().endpointOverride(Clients.ENDPOINT).region(Clients.REGION).build();
    private final DynamoDbEnhancedClient client = DynamoDbEnhancedClient.builder().dynamoDbClient(bare).build();
    private final DynamoDbTable<Order> orders;

    private Enhanced(String table) {
        orders = client.table(table, TableSchema.fromBean(Order.class));
    }

    private static void same(String what, Object found, Object expected) {
        if (!Objects.equals(found, expected)) {
            throw new AssertionError(what + ": found " + found + ", not " + expected);
        }
    }

    private static Order order(String customer, int number, String status, Double total) {
        Order one = new Order();
        one.setCustomer(customer);
        one.setNumber(number);
        one.setStatus(status);
        one.setTotal(total);
        return one;
    }

    private static Key key(String customer, int number) {
        return Key.builder().partitionValue(customer).sortValue(number).build();
    }

    private void create() {
        orders.createTable(made -> made
                .globalSecondaryIndices(index -> index.indexName("by-status").projection(p -> p.projectionType(ProjectionType.ALL)))
                .localSecondaryIndices(index -> index.indexName("by-total").projection(p -> p.projectionType(ProjectionType.KEYS_ONLY)))
                .streamSpecification(stream -> stream.streamEnabled(true).streamViewType(StreamViewType.KEYS_ONLY)));
        bare.waiter().waitUntilTableExists(asked -> asked.tableName(orders.tableName()));
        same("the indexes", orders.describeTable().table().globalSecondaryIndexes().get(0).indexName(), "by-status");
    }

    /** Put, get, update and delete, with conditions and versions that hold and that do not. */
    private void single() {
        Order first = order("ada", 1, "new", 12.5);
        first.setTags(Set.of("a", "b"));
        first.setLines(List.of("pen", "ink"));
        first.setCounts(Map.of("pen", 2));
        Expression absent = Expression.builder().expression("attribute_not_exists(#c)").putExpressionName("#c", "customer").build();
        orders.putItem(PutItemEnhancedRequest.builder(Order.class).item(first).conditionExpression(absent).build());
        Order found = orders.getItem(asked -> asked.key(key("ada", 1)).consistentRead(true));
        same("the tags", found.getTags(), Set.of("a", "b"));
        same("the lines", found.getLines(), List.of("pen", "ink"));
        same("the counts", found.getCounts(), Map.of("pen", 2));
        same("the version", found.getVersion(), 1L);
        found.setStatus("paid");
        found.setTags(null);
        Order updated = orders.updateItem(found);
        same("the update", List.of(updated.getStatus(), updated.getVersion(), updated.getTags() == null), List.of("paid", 2L, true));
        try {
            orders.updateItem(found);
            throw new AssertionError("a version that is no more was taken");
        } catch (ConditionalCheckFailedException expected) {
            same("the refusal", expected.awsErrorDetails().errorMessage(), "The conditional request failed");
        }
        same("what is deleted", orders.deleteItem(key("ada", 1)).getTotal(), 12.5);
        same("what is gone", orders.getItem(key("ada", 1)), null);
    }

    /** A batch, read by pages, by both indexes and by its keys. */
    private void many() {
        // No condition can go with a batch, so the client must not keep versions.
        DynamoDbEnhancedClient plain = DynamoDbEnhancedClient.builder().dynamoDbClient(bare).extensions(List.of()).build();
        WriteBatch.Builder<Order> batch = WriteBatch.builder(Order.class)
                .mappedTableResource(plain.table(orders.tableName(), TableSchema.fromBean(Order.class)));
        for (int number = 0; number < 25; number++) {
            batch.addPutItem(order("bob", number, number % 2 == 0 ? "new" : "sent", 100.0 - number));
        }
        BatchWriteItemEnhancedRequest writes = BatchWriteItemEnhancedRequest.builder().addWriteBatch(batch.build()).build();
        same("unprocessed", plain.batchWriteItem(writes).unprocessedPutItemsForTable(orders), List.of());
        Expression sent = Expression.builder().expression("#s = :s").putExpressionName("#s", "status")
                .putExpressionValue(":s", AttributeValue.fromS("sent")).build();
        List<Integer> numbers = new ArrayList<>();
        int[] pages = {0};
        orders.query(asked -> asked.queryConditional(QueryConditional.sortBetween(key("bob", 3), key("bob", 20)))
                .filterExpression(sent).limit(4).scanIndexForward(false)).forEach(page -> {
                    pages[0]++;
                    page.items().forEach(one -> numbers.add(one.getNumber()));
                });
        same("the query", numbers, List.of(19, 17, 15, 13, 11, 9, 7, 5, 3));
        same("its pages", pages[0], 5);
        QueryConditional news = QueryConditional.keyEqualTo(Key.builder().partitionValue("new").build());
        same("the index", orders.index("by-status").query(news).stream().mapToInt(page -> page.items().size()).sum(), 13);
        QueryConditional least = QueryConditional.sortLessThan(Key.builder().partitionValue("bob").sortValue(78.0).build());
        same("the local index", orders.index("by-total").query(least).stream().flatMap(page -> page.items().stream())
                .map(Order::getTotal).collect(Collectors.toList()), List.of(76.0, 77.0));
        ReadBatch read = ReadBatch.builder(Order.class).mappedTableResource(orders)
                .addGetItem(key("bob", 1)).addGetItem(key("bob", 24)).addGetItem(key("nobody", 0)).build();
        BatchGetItemEnhancedRequest reads = BatchGetItemEnhancedRequest.builder().readBatches(read).build();
        same("the batch", client.batchGetItem(reads).resultsForTable(orders).stream().count(), 2L);
        same("the scan", orders.scan(asked -> asked.limit(7)).items().stream().count(), 25L);
    }

    /** Transactions; one is cancelled whole. */
    private void together() {
        Expression absent = Expression.builder().expression("attribute_not_exists(customer)").build();
        client.transactWriteItems(TransactWriteItemsEnhancedRequest.builder()
                .addPutItem(orders, order("cyd", 1, "new", null)).addPutItem(orders, order("cyd", 2, "new", null))
                .addDeleteItem(orders, key("bob", 0)).build());
        TransactPutItemEnhancedRequest<Order> again = TransactPutItemEnhancedRequest.builder(Order.class)
                .item(order("cyd", 1, "new", null)).conditionExpression(absent).build();
        try {
            client.transactWriteItems(TransactWriteItemsEnhancedRequest.builder()
                    .addPutItem(orders, order("cyd", 3, "new", null)).addPutItem(orders, again).build());
            throw new AssertionError("a transaction over an item that is there was taken");
        } catch (TransactionCanceledException expected) {
            same("the reasons", expected.cancellationReasons().stream().map(CancellationReason::code).collect(Collectors.toList()),
                    List.of("None", "ConditionalCheckFailed"));
        }
        List<Boolean> there = client.transactGetItems(TransactGetItemsEnhancedRequest.builder()
                        .addGetItem(orders, key("cyd", 1)).addGetItem(orders, key("cyd", 2)).addGetItem(orders, key("cyd", 3)).build())
                .stream().map(found -> found.getItem(orders) != null).collect(Collectors.toList());
        same("the items read", there, List.of(true, true, false));
    }

    /** The stream, read to its end. */
    private void changes() {
        Map<String, Integer> found = new java.util.TreeMap<>();
        String arn = orders.describeTable().table().latestStreamArn();
        try (DynamoDbStreamsClient streams =
                DynamoDbStreamsClient.builder().endpointOverride(Clients.ENDPOINT).region(Clients.REGION).build()) {
            streams.describeStream(asked -> asked.streamArn(arn)).streamDescription().shards().forEach(shard -> {
                String position = streams.getShardIterator(
                        asked -> asked.streamArn(arn).shardId(shard.shardId()).shardIteratorType("TRIM_HORIZON")).shardIterator();
                while (position != null) {
                    String from = position;
                    var page = streams.getRecords(asked -> asked.shardIterator(from));
                    page.records().forEach(record -> found.merge(record.eventNameAsString(), 1, Integer::sum));
                    position = page.records().isEmpty() ? null : page.nextShardIterator();
                }
            });
        }
        same("the stream", found, Map.of("INSERT", 28, "MODIFY", 1, "REMOVE", 2));
    }

    public static void main(String[] arguments) {
        Enhanced suite = new Enhanced(arguments[0]);
        suite.create();
        suite.single();
        suite.many();
        suite.together();
        suite.changes();
        suite.orders.deleteTable();
        suite.bare.waiter().waitUntilTableNotExists(asked -> asked.tableName(arguments[0]));
        System.out.println("ok");
    }
}
