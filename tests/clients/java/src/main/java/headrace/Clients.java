package headrace;

import java.net.URI;
import software.amazon.awssdk.auth.credentials.DefaultCredentialsProvider;
import software.amazon.awssdk.regions.Region;
import software.amazon.awssdk.services.cloudwatch.CloudWatchAsyncClient;
import software.amazon.awssdk.services.dynamodb.DynamoDbAsyncClient;
import software.amazon.awssdk.services.kinesis.KinesisAsyncClient;
import software.amazon.kinesis.common.KinesisClientUtil;

/** The SDK's clients, pointed at the endpoint of the environment. Nothing else is set: CBOR and HTTP/2 are their defaults. */
final class Clients {
    static final URI ENDPOINT = URI.create(System.getenv("AWS_ENDPOINT_URL"));
    static final Region REGION = Region.of(System.getenv("AWS_REGION"));

    private Clients() {}

    /** Kinesis over HTTP/2 with prior knowledge, as the client library makes it. */
    static KinesisAsyncClient kinesis() {
        return KinesisClientUtil.createKinesisAsyncClient(KinesisAsyncClient.builder()
                .endpointOverride(ENDPOINT)
                .region(REGION)
                .credentialsProvider(DefaultCredentialsProvider.builder().build()));
    }

    static DynamoDbAsyncClient dynamodb() {
        return DynamoDbAsyncClient.builder().endpointOverride(ENDPOINT).region(REGION).build();
    }

    static CloudWatchAsyncClient cloudwatch() {
        return CloudWatchAsyncClient.builder().endpointOverride(ENDPOINT).region(REGION).build();
    }
}
