package headrace;

import com.google.common.util.concurrent.ListenableFuture;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import software.amazon.kinesis.producer.KinesisProducer;
import software.amazon.kinesis.producer.KinesisProducerConfiguration;
import software.amazon.kinesis.producer.UserRecordResult;

/** The producer library: aggregated records. Arguments: stream, how many records, how many partition keys, port. */
public final class Producer {
    private Producer() {}

    public static void main(String[] arguments) throws Exception {
        int count = Integer.parseInt(arguments[1]);
        int keys = Integer.parseInt(arguments[2]);
        long port = Long.parseLong(arguments[3]);
        var configuration = new KinesisProducerConfiguration()
                .setRegion(Clients.REGION.id())
                .setKinesisEndpoint("localhost")
                .setKinesisPort(port)
                .setCloudwatchEndpoint("localhost")
                .setCloudwatchPort(port)
                .setStsEndpoint("localhost")
                .setStsPort(port)
                // The library speaks nothing but TLS, and its native program does not know the server's own certificate.
                .setVerifyCertificate(false)
                .setAggregationEnabled(true);
        var producer = new KinesisProducer(configuration);
        var results = new ArrayList<ListenableFuture<UserRecordResult>>();
        for (int number = 0; number < count; number++) {
            ByteBuffer data = ByteBuffer.wrap(Integer.toString(number / keys).getBytes(StandardCharsets.UTF_8));
            results.add(producer.addUserRecord(arguments[0], "key-" + number % keys, data));
            if (number % 10_000 == 9_999) {
                producer.flushSync();
            }
        }
        producer.flushSync();
        for (var result : results) {
            if (!result.get().isSuccessful()) {
                throw new IllegalStateException("not put: " + result.get().getAttempts());
            }
        }
        producer.destroy();
        System.out.println("ok " + count);
    }
}
