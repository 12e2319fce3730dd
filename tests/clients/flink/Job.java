import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;

/** Gives the statements of a file to a Flink cluster. Arguments: the file, the port of the cluster's REST address. */
public final class Job {
    private Job() {}

    public static void main(String[] arguments) throws Exception {
        var configuration = new Configuration();
        configuration.setString("execution.target", "remote");
        configuration.setString("rest.address", "127.0.0.1");
        configuration.setString("rest.port", arguments[1]);
        var tables = TableEnvironment.create(EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(configuration).build());
        String text = Files.readString(Path.of(arguments[0])).replaceAll("(?m)^--.*$", "");
        for (String statement : text.split(";\\s*\n")) {
            if (statement.strip().startsWith("SET")) {
                String[] parts = statement.strip().substring(3).split("'");
                tables.getConfig().set(parts[1], parts[3]);
            } else if (!statement.isBlank()) {
                tables.executeSql(statement);
            }
        }
        System.out.println("submitted");
    }
}
