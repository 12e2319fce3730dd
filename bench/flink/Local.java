import java.nio.file.Files;
import java.nio.file.Path;
import org.apache.flink.configuration.Configuration;
import org.apache.flink.table.api.EnvironmentSettings;
import org.apache.flink.table.api.TableEnvironment;

/** Runs the statements of a file on Flink's mini cluster, in this process, until it is killed. Argument: the file. */
public final class Local {
    private Local() {}

    public static void main(String[] arguments) throws Exception {
        var configuration = new Configuration();
        configuration.setString("execution.target", "local");
        configuration.setString("execution.attached", "true");
        var tables = TableEnvironment.create(EnvironmentSettings.newInstance().inStreamingMode().withConfiguration(configuration).build());
        for (String statement : Files.readString(Path.of(arguments[0])).split(";\\s*\n")) {
            if (statement.strip().startsWith("SET")) {
                String[] parts = statement.strip().substring(3).split("'");
                tables.getConfig().set(parts[1], parts[3]);
            } else if (statement.strip().startsWith("INSERT")) {
                tables.executeSql(statement).await();
            } else if (!statement.isBlank()) {
                tables.executeSql(statement);
            }
        }
    }
}
