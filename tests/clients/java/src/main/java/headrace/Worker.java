package headrace;

import java.io.FileOutputStream;
import java.io.IOException;
import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.time.Instant;
import software.amazon.kinesis.common.ConfigsBuilder;
import software.amazon.kinesis.common.InitialPositionInStream;
import software.amazon.kinesis.common.InitialPositionInStreamExtended;
import software.amazon.kinesis.coordinator.Scheduler;
import software.amazon.kinesis.lifecycle.events.InitializationInput;
import software.amazon.kinesis.lifecycle.events.LeaseLostInput;
import software.amazon.kinesis.lifecycle.events.ProcessRecordsInput;
import software.amazon.kinesis.lifecycle.events.ShardEndedInput;
import software.amazon.kinesis.lifecycle.events.ShutdownRequestedInput;
import software.amazon.kinesis.processor.ShardRecordProcessor;
import software.amazon.kinesis.processor.SingleStreamTracker;
import software.amazon.kinesis.retrieval.KinesisClientRecord;
import software.amazon.kinesis.retrieval.fanout.FanOutConfig;
import software.amazon.kinesis.retrieval.polling.PollingConfig;

/**
 * A KCL worker that writes down what it processes.
 *
 * <p>Arguments: polling or fanout, application, stream, worker, file. A line for each record: microseconds since 1970, shard,
 * partition key, data.
 */
public final class Worker {
    private static OutputStream out;

    private Worker() {}

    public static void main(String[] arguments) throws IOException {
        String mode = arguments[0];
        String application = arguments[1];
        String stream = arguments[2];
        out = new FileOutputStream(arguments[4], true);
        var kinesis = Clients.kinesis();
        var start = InitialPositionInStreamExtended.newInitialPosition(InitialPositionInStream.TRIM_HORIZON);
        var configs = new ConfigsBuilder(
                new SingleStreamTracker(stream, start),
                application,
                kinesis,
                Clients.dynamodb(),
                Clients.cloudwatch(),
                arguments[3],
                Processor::new);
        var retrieval = configs.retrievalConfig();
        if (mode.equals("polling")) {
            retrieval.retrievalSpecificConfig(
                    new PollingConfig(stream, kinesis).idleTimeBetweenReadsInMillis(200));
        } else {
            retrieval.retrievalSpecificConfig(
                    new FanOutConfig(kinesis).streamName(stream).applicationName(application));
        }
        // The defaults wait ten seconds for a dead worker and a minute for new shards: too long for a test.
        var leases = configs.leaseManagementConfig().failoverTimeMillis(3_000L).shardSyncIntervalMillis(2_000L);
        var coordinator = configs.coordinatorConfig().parentShardPollIntervalMillis(1_000L).shardConsumerDispatchPollIntervalMillis(200L);
        new Scheduler(
                        configs.checkpointConfig(),
                        coordinator,
                        leases,
                        configs.lifecycleConfig(),
                        configs.metricsConfig().metricsBufferTimeMillis(2_000L),
                        configs.processorConfig(),
                        retrieval)
                .run();
    }

    private static synchronized void write(String lines) {
        try {
            out.write(lines.getBytes(StandardCharsets.UTF_8));
        } catch (IOException error) {
            throw new IllegalStateException(error);
        }
    }

    private static final class Processor implements ShardRecordProcessor {
        private String shard;

        @Override
        public void initialize(InitializationInput input) {
            shard = input.shardId();
        }

        @Override
        public void processRecords(ProcessRecordsInput input) {
            var lines = new StringBuilder();
            Instant now = Instant.now();
            long micros = now.getEpochSecond() * 1_000_000 + now.getNano() / 1_000;
            for (KinesisClientRecord record : input.records()) {
                byte[] data = new byte[record.data().remaining()];
                record.data().get(data);
                lines.append(micros).append(' ').append(shard).append(' ').append(record.partitionKey()).append(' ');
                lines.append(new String(data, StandardCharsets.UTF_8)).append('\n');
            }
            write(lines.toString());
            try {
                input.checkpointer().checkpoint();
            } catch (Exception error) {
                // The lease went to another worker: it reads these records again.
                System.err.println("no checkpoint: " + error);
            }
        }

        @Override
        public void leaseLost(LeaseLostInput input) {}

        @Override
        public void shardEnded(ShardEndedInput input) {
            try {
                input.checkpointer().checkpoint();
            } catch (Exception error) {
                throw new IllegalStateException(error);
            }
        }

        @Override
        public void shutdownRequested(ShutdownRequestedInput input) {
            try {
                input.checkpointer().checkpoint();
            } catch (Exception error) {
                System.err.println("no checkpoint: " + error);
            }
        }
    }
}
