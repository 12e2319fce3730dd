import com.amazonaws.services.kinesisanalytics.runtime.KinesisAnalyticsRuntime;
import java.util.Properties;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.table.api.bridge.java.StreamTableEnvironment;

/**
 * An application as AWS's examples are: its properties come from the runtime, its credentials from the role. On a cluster of one's
 * own, which has no runtime of AWS's, its properties are its arguments.
 */
public final class Counts {
    private Counts() {}

    public static void main(String[] arguments) throws Exception {
        Properties given = arguments.length == 0 ? KinesisAnalyticsRuntime.getApplicationProperties().get("counts") : new Properties();
        for (int place = 0; place + 1 < arguments.length; place += 2) {
            given.setProperty(arguments[place].replace("--counts.", ""), arguments[place + 1]);
        }
        if (given == null || given.containsKey("fails")) {
            throw new IllegalStateException("the property group counts asks for a failure, or is not there");
        }
        var tables = StreamTableEnvironment.create(StreamExecutionEnvironment.getExecutionEnvironment());
        String connection = ", 'connector' = 'kinesis', 'aws.region' = '" + System.getenv("AWS_REGION")
                + "', 'aws.endpoint' = '" + given.getProperty("endpoint") + "')";
        tables.executeSql("CREATE TABLE records_in (k STRING, n BIGINT) WITH ('stream' = '" + given.getProperty("in")
                + "', 'format' = 'json', 'scan.stream.initpos' = 'TRIM_HORIZON', 'scan.shard.getrecords.intervalmillis' = '200'"
                + connection);
        tables.executeSql("CREATE TABLE counts_out (k STRING, records BIGINT, total BIGINT) WITH ('stream' = '"
                + given.getProperty("out") + "', 'format' = 'debezium-json', 'sink.batch.max-size' = '500'" + connection);
        tables.executeSql("INSERT INTO counts_out SELECT k, COUNT(*), SUM(n) FROM records_in GROUP BY k");
    }
}
