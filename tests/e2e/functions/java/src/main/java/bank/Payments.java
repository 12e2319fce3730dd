package bank;

import com.amazonaws.services.lambda.runtime.Context;
import com.amazonaws.services.lambda.runtime.RequestHandler;
import com.amazonaws.services.lambda.runtime.events.SQSEvent;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.util.List;
import java.util.Map;
import software.amazon.awssdk.services.dynamodb.DynamoDbClient;
import software.amazon.awssdk.services.dynamodb.model.AttributeValue;

/** Puts payments into a table. */
public class Payments implements RequestHandler<Payments.Payment, Map<String, Object>> {
    private static final DynamoDbClient TABLES = DynamoDbClient.create();
    private static int count = 0;

    /** What comes in. */
    public static class Payment {
        private String id;
        private int cents;

        public String getId() { return id; }

        public void setId(String id) { this.id = id; }

        public int getCents() { return cents; }

        public void setCents(int cents) { this.cents = cents; }
    }

    @Override
    public Map<String, Object> handleRequest(Payment payment, Context context) {
        if (payment.getCents() < 0) {
            throw new IllegalArgumentException("negative: " + payment.getCents());
        }
        context.getLogger().log("paying " + payment.getId() + "\n");
        put(payment.getId(), payment.getCents());
        return Map.of("id", payment.getId(), "count", ++count, "name", context.getFunctionName(),
            "enough", context.getRemainingTimeInMillis() > 1000);
    }

    /** A handler of a queue's messages. */
    public List<String> queue(SQSEvent event, Context context) {
        return event.getRecords().stream().map(SQSEvent.SQSMessage::getBody).toList();
    }

    /** A handler of streams of bytes. */
    public void reversed(InputStream input, OutputStream output, Context context) throws IOException {
        output.write(new StringBuilder(new String(input.readAllBytes())).reverse().toString().getBytes());
    }

    private static void put(String id, int cents) {
        TABLES.putItem(request -> request.tableName(System.getenv("TABLE")).item(
            Map.of("id", AttributeValue.fromS(id), "cents", AttributeValue.fromN(Integer.toString(cents)))));
    }
}
