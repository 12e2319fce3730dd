package headrace;

import com.amazonaws.auth.EnvironmentVariableCredentialsProvider;
import com.amazonaws.client.builder.AwsClientBuilder.EndpointConfiguration;
import com.amazonaws.kinesisvideo.parser.ebml.InputStreamParserByteSource;
import com.amazonaws.kinesisvideo.parser.ebml.MkvTypeInfos;
import com.amazonaws.kinesisvideo.parser.mkv.MkvElement;
import com.amazonaws.kinesisvideo.parser.mkv.StreamingMkvReader;
import com.amazonaws.kinesisvideo.parser.utilities.FragmentMetadata;
import com.amazonaws.kinesisvideo.parser.utilities.FragmentMetadataVisitor;
import com.amazonaws.kinesisvideo.parser.utilities.OutputSegmentMerger;
import com.amazonaws.services.kinesisvideo.AmazonKinesisVideoMediaClientBuilder;
import com.amazonaws.services.kinesisvideo.AmazonKinesisVideoPutMediaClientBuilder;
import com.amazonaws.services.kinesisvideo.PutMediaAckResponseHandler;
import com.amazonaws.services.kinesisvideo.model.AckEvent;
import com.amazonaws.services.kinesisvideo.model.FragmentTimecodeType;
import com.amazonaws.services.kinesisvideo.model.GetMediaRequest;
import com.amazonaws.services.kinesisvideo.model.PutMediaRequest;
import com.amazonaws.services.kinesisvideo.model.StartSelector;
import com.amazonaws.services.kinesisvideo.model.StartSelectorType;
import java.io.InputStream;
import java.io.OutputStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Date;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;

/** AWS's PutMedia client sends a film; AWS's parser library reads it back. Arguments: stream, film, fragments, merged output. */
public final class Video {
    private static final String ENDPOINT = System.getenv("AWS_ENDPOINT_URL");
    private static final String REGION = System.getenv("AWS_REGION");

    public static void main(String[] arguments) throws Exception {
        put(arguments[0], Path.of(arguments[1]));
        get(arguments[0], Integer.parseInt(arguments[2]), Path.of(arguments[3]));
    }

    private static void put(String stream, Path film) throws Exception {
        CountDownLatch done = new CountDownLatch(1);
        try (InputStream payload = Files.newInputStream(film);
                var client = AmazonKinesisVideoPutMediaClientBuilder.standard().withRegion(REGION).withEndpoint(ENDPOINT)
                        .withCredentials(new EnvironmentVariableCredentialsProvider())
                        .withConnectionTimeoutInMillis(10_000).build()) {
            PutMediaRequest request = new PutMediaRequest().withStreamName(stream)
                    .withFragmentTimecodeType(FragmentTimecodeType.RELATIVE)
                    .withProducerStartTimestamp(new Date(1_700_000_000_000L)).withPayload(payload);
            client.putMedia(request, new PutMediaAckResponseHandler() {
                @Override
                public void onAckEvent(AckEvent event) {
                    System.out.printf("%s %d %s%n", event.getAckEventType(), event.getFragmentTimecode(), event.getFragmentNumber());
                }

                @Override
                public void onFailure(Throwable problem) {
                    problem.printStackTrace();
                    done.countDown();
                }

                @Override
                public void onComplete() {
                    done.countDown();
                }
            });
            if (!done.await(30, TimeUnit.SECONDS)) {
                throw new IllegalStateException("PutMedia did not come to its end");
            }
        }
    }

    private static void get(String stream, int wanted, Path merged) throws Exception {
        var client = AmazonKinesisVideoMediaClientBuilder.standard()
                .withEndpointConfiguration(new EndpointConfiguration(ENDPOINT, REGION)).build();
        StartSelector earliest = new StartSelector().withStartSelectorType(StartSelectorType.EARLIEST);
        try (InputStream payload = client.getMedia(new GetMediaRequest().withStreamName(stream).withStartSelector(earliest))
                        .getPayload();
                OutputStream output = Files.newOutputStream(merged)) {
            StreamingMkvReader reader = StreamingMkvReader.createDefault(new InputStreamParserByteSource(payload));
            FragmentMetadataVisitor fragments = FragmentMetadataVisitor.create();
            OutputSegmentMerger merger = OutputSegmentMerger.createDefault(output);
            int blocks = 0;
            int seen = 0;
            String last = "";
            while (seen < wanted && reader.mightHaveNext()) {
                Optional<MkvElement> element = reader.nextIfAvailable();
                if (element.isEmpty()) {
                    continue;
                }
                element.get().accept(fragments);
                element.get().accept(merger);
                if (MkvTypeInfos.SIMPLEBLOCK.equals(element.get().getElementMetaData().getTypeInfo())) {
                    blocks++;
                }
                Optional<FragmentMetadata> current = fragments.getCurrentFragmentMetadata();
                String token = fragments.getContinuationToken().orElse(last);
                if (current.isPresent() && !token.equals(last)) {
                    last = token;
                    seen++;
                    System.out.printf("fragment %s %d %d %s%n", current.get().getFragmentNumberString(),
                            current.get().getProducerSideTimestampMillis(), blocks, token);
                    blocks = 0;
                }
            }
            System.out.printf("merged %d segments, %d clusters, %d blocks%n", merger.getSegmentsCount(),
                    merger.getClustersCount(), merger.getSimpleBlocksCount());
            output.close();
            // The SDK reads what it closes to its end, and a live stream has none.
            System.exit(0);
        }
    }
}
