package headrace;

import java.net.URI;
import java.nio.charset.StandardCharsets;
import org.apache.beam.sdk.Pipeline;
import org.apache.beam.sdk.io.aws2.kinesis.KinesisIO;
import org.apache.beam.sdk.io.aws2.kinesis.KinesisRecord;
import org.apache.beam.sdk.io.aws2.options.AwsOptions;
import org.apache.beam.sdk.options.PipelineOptionsFactory;
import org.apache.beam.sdk.transforms.MapElements;
import org.apache.beam.sdk.transforms.SimpleFunction;
import software.amazon.awssdk.regions.Region;
import software.amazon.kinesis.common.InitialPositionInStream;

/** A pipeline from one stream to another. Arguments: from, to, how many records, and a consumer's ARN to read by fan-out. */
public final class Copy {
    private Copy() {}

    public static void main(String[] arguments) {
        var options = PipelineOptionsFactory.create().as(AwsOptions.class);
        options.setEndpoint(URI.create(System.getenv("AWS_ENDPOINT_URL")));
        options.setAwsRegion(Region.of(System.getenv("AWS_REGION")));
        var read = KinesisIO.read()
                .withStreamName(arguments[0])
                .withInitialPositionInStream(InitialPositionInStream.TRIM_HORIZON)
                .withMaxNumRecords(Long.parseLong(arguments[2]));
        if (arguments.length > 3) {
            read = read.withConsumerArn(arguments[3]);
        }
        var pipeline = Pipeline.create(options);
        pipeline.apply(read)
                .apply(MapElements.via(new Text()))
                .apply(KinesisIO.<String>write()
                        .withStreamName(arguments[1])
                        .withSerializer(text -> text.getBytes(StandardCharsets.UTF_8))
                        .withRecordAggregationDisabled()
                        .withPartitioner(text -> text));
        pipeline.run().waitUntilFinish();
        System.out.println("copied");
    }

    private static final class Text extends SimpleFunction<KinesisRecord, String> {
        @Override
        public String apply(KinesisRecord record) {
            return record.getPartitionKey() + "=" + new String(record.getDataAsBytes(), StandardCharsets.UTF_8);
        }
    }
}
