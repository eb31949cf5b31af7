import java.nio.file.Files;
import java.nio.file.Path;
import java.sql.DriverManager;

/** Runs the statements of a file, one a line, over JDBC; rows as tab-separated text, after each statement a line "--". */
final class Jdbc {
    public static void main(String[] args) throws Exception {
        var out = new StringBuilder();
        try (var connection = DriverManager.getConnection(args[0])) {
            for (var sql : Files.readAllLines(Path.of(args[1]))) {
                try (var statement = connection.prepareStatement(sql); var rows = statement.executeQuery()) {
                    var columns = rows.getMetaData().getColumnCount();
                    while (rows.next()) {
                        for (var column = 1; column <= columns; column++) {
                            var value = rows.getObject(column);
                            out.append(column > 1 ? "\t" : "").append(value == null ? "\\N" : value);
                        }
                        out.append('\n');
                    }
                }
                out.append("--\n");
            }
        }
        System.out.print(out);
    }
}
