package headrace;

import java.util.ArrayList;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import software.amazon.awssdk.core.SdkBytes;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisClient;
import software.amazon.awssdk.services.kinesis.model.ConsumerStatus;
import software.amazon.awssdk.services.kinesis.model.ShardIteratorType;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardEvent;
import software.amazon.awssdk.services.kinesis.model.SubscribeToShardResponseHandler;

/** The SDK for Java: put, get and subscribe. Arguments: stream, how many records. Fails with an exception. */
public final class Sdk {
    private Sdk() {}

    public static void main(String[] arguments) throws Exception {
        String stream = arguments[0];
        int count = Integer.parseInt(arguments[1]);
        try (var blocking = KinesisClient.builder().endpointOverride(Clients.ENDPOINT).region(Clients.REGION).build();
                var kinesis = Clients.kinesis()) {
            blocking.createStream(request -> request.streamName(stream).shardCount(1));
            blocking.waiter().waitUntilStreamExists(request -> request.streamName(stream));
            String arn = blocking.describeStreamSummary(request -> request.streamName(stream))
                    .streamDescriptionSummary()
                    .streamARN();
            String shard = blocking.listShards(request -> request.streamName(stream)).shards().get(0).shardId();
            String consumer = blocking.registerStreamConsumer(request -> request.streamARN(arn).consumerName("java"))
                    .consumer()
                    .consumerARN();
            while (blocking.describeStreamConsumer(request -> request.consumerARN(consumer))
                            .consumerDescription()
                            .consumerStatus()
                    != ConsumerStatus.ACTIVE) {
                Thread.sleep(100);
            }
            var received = new ArrayList<String>();
            var subscription = subscribe(kinesis, consumer, shard, count, received);
            var expected = new ArrayList<String>();
            for (int number = 0; number < count; number++) {
                String text = "record " + number;
                expected.add(text);
                kinesis.putRecord(request -> request.streamName(stream)
                                .partitionKey("k")
                                .data(SdkBytes.fromUtf8String(text)))
                        .get(10, TimeUnit.SECONDS);
            }
            subscription.get(30, TimeUnit.SECONDS);
            check("subscribed", expected, received);
            check("polled", expected, polled(blocking, stream, shard, count));
            blocking.deleteStream(request -> request.streamName(stream).enforceConsumerDeletion(true));
        }
        System.out.println("ok " + count);
    }

    private static CompletableFuture<Void> subscribe(
            KinesisAsyncClient kinesis, String consumer, String shard, int count, ArrayList<String> received) {
        var enough = new CompletableFuture<Void>();
        var handler = SubscribeToShardResponseHandler.builder()
                .onError(enough::completeExceptionally)
                .subscriber(event -> {
                    if (event instanceof SubscribeToShardEvent pushed) {
                        pushed.records().forEach(record -> received.add(record.data().asUtf8String()));
                        if (received.size() >= count) {
                            enough.complete(null);
                        }
                    }
                })
                .build();
        kinesis.subscribeToShard(
                request -> request.consumerARN(consumer)
                        .shardId(shard)
                        .startingPosition(position -> position.type(ShardIteratorType.TRIM_HORIZON)),
                handler);
        return enough;
    }

    private static ArrayList<String> polled(KinesisClient kinesis, String stream, String shard, int count) {
        var found = new ArrayList<String>();
        String iterator = kinesis.getShardIterator(request ->
                        request.streamName(stream).shardId(shard).shardIteratorType(ShardIteratorType.TRIM_HORIZON))
                .shardIterator();
        while (found.size() < count) {
            String from = iterator;
            var answer = kinesis.getRecords(request -> request.shardIterator(from));
            answer.records().forEach(record -> found.add(record.data().asUtf8String()));
            iterator = answer.nextShardIterator();
        }
        return found;
    }

    private static void check(String what, ArrayList<String> expected, ArrayList<String> found) {
        if (!expected.equals(found)) {
            throw new IllegalStateException(what + ": expected " + expected + ", found " + found);
        }
    }
}
