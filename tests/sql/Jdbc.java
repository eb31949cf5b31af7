import java.math.BigDecimal;
import java.sql.*;
import java.time.*;
import java.util.*;

/** What Java programs do with the PostgreSQL driver. Each check throws when it fails; the last line printed is "all well". */
public class Jdbc {
    static Connection connect(String url, String... options) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", "ann");
        for (int i = 0; i < options.length; i += 2) properties.setProperty(options[i], options[i + 1]);
        return DriverManager.getConnection(url, properties);
    }

    static void same(String what, Object expected, Object found) {
        if (!Objects.equals(expected, found)) throw new AssertionError(what + ": expected " + expected + ", found " + found);
    }

    static List<List<Object>> all(ResultSet rows) throws SQLException {
        List<List<Object>> all = new ArrayList<>();
        int columns = rows.getMetaData().getColumnCount();
        while (rows.next()) {
            List<Object> row = new ArrayList<>();
            for (int i = 1; i <= columns; i++) row.add(rows.getObject(i));
            all.add(row);
        }
        return all;
    }

    static List<String> column(ResultSet rows, String name) throws SQLException {
        List<String> all = new ArrayList<>();
        while (rows.next()) all.add(rows.getString(name));
        return all;
    }

    static void metadata(Connection c) throws SQLException {
        DatabaseMetaData about = c.getMetaData();
        same("product", "PostgreSQL", about.getDatabaseProductName());
        List<String> schemas = column(about.getSchemas(), "TABLE_SCHEM");
        same("schemas", true, schemas.containsAll(List.of("bronze", "gold", "silver")));
        same("catalogs", true, column(about.getCatalogs(), "TABLE_CAT").contains("streamreel"));
        List<String> gold = column(about.getTables(null, "gold", "%", new String[] {"TABLE"}), "TABLE_NAME");
        same("tables of gold", 12, gold.size());
        same("sorted tables", true, gold.containsAll(List.of("viewer_retention", "retention_curve", "builds")));
        same("views", 0, all(about.getTables(null, "gold", "%", new String[] {"VIEW"})).size());
        same("any table", true, all(about.getTables(null, null, null, null)).size() > 25);
        Map<String, Integer> types = new LinkedHashMap<>();
        ResultSet columns = about.getColumns(null, "silver", "views", "%");
        while (columns.next()) {
            types.put(columns.getString("COLUMN_NAME"), columns.getInt("DATA_TYPE"));
            same("nullable", true, columns.getInt("NULLABLE") >= 0);
        }
        same("text", Types.VARCHAR, types.get("view_id"));
        same("date", Types.DATE, types.get("view_date"));
        same("instant", Types.TIMESTAMP, types.get("started_at"));
        same("double", Types.DOUBLE, types.get("watch_time_s"));
        same("boolean", Types.BIT, types.get("is_completed"));
        same("keys", 0, all(about.getPrimaryKeys(null, "gold", "viewer_retention")).size());
        same("indexes", 0, all(about.getIndexInfo(null, "gold", "viewer_retention", false, false)).size());
        same("foreign keys", 0, all(about.getImportedKeys(null, "gold", "viewer_retention")).size());
        same("types", true, all(about.getTypeInfo()).size() > 20);
        about.getTableTypes().close();
        about.getFunctions(null, "gold", "%").close();
        same("catalog", "streamreel", c.getCatalog());
        same("schema", "gold", c.getSchema());
    }

    static void values(Connection c) throws SQLException {
        String sql = "select 1::smallint as a, 2 as b, 3::int as c, 1.5::double precision as d, 0.5::real as e,"
            + " 12.34::decimal(10, 2) as f, 'ü' as g, true as h, date '2024-02-29' as i,"
            + " '2024-02-29T12:34:56.789Z'::timestamptz as j, timestamp '2024-02-29 12:34:56' as k, null::bigint as l,"
            + " array['x', 'y'] as m";
        // The driver asks for binary values after a statement has been executed a few times.
        try (PreparedStatement statement = c.prepareStatement(sql)) {
            for (int i = 0; i < 8; i++) {
                try (ResultSet row = statement.executeQuery()) {
                    same("a row", true, row.next());
                    same("smallint", 1, (int) row.getShort("a"));
                    same("bigint", 2L, row.getLong("b"));
                    same("int", 3, row.getInt("c"));
                    same("double", 1.5, row.getDouble("d"));
                    same("real", 0.5f, row.getFloat("e"));
                    same("numeric", new BigDecimal("12.34"), row.getBigDecimal("f"));
                    same("text", "ü", row.getString("g"));
                    same("boolean", true, row.getBoolean("h"));
                    same("date", LocalDate.of(2024, 2, 29), row.getObject("i", LocalDate.class));
                    same("instant", Instant.parse("2024-02-29T12:34:56.789Z"),
                        row.getObject("j", OffsetDateTime.class).toInstant());
                    same("timestamp", LocalDateTime.of(2024, 2, 29, 12, 34, 56), row.getObject("k", LocalDateTime.class));
                    same("null", null, row.getObject("l"));
                    same("array", List.of("x", "y"), List.of((Object[]) row.getArray("m").getArray()));
                    same("one row", false, row.next());
                }
            }
        }
    }

    static void parameters(Connection c) throws SQLException {
        String sql = "select count(*) from silver.views where watch_time_s > ? and view_date >= ? and started_at >= ?"
            + " and (device = ? or ?) and pauses <= ?";
        long all = (long) all(c.createStatement().executeQuery("select count(*) from silver.views")).get(0).get(0);
        try (PreparedStatement statement = c.prepareStatement(sql)) {
            ParameterMetaData about = statement.getParameterMetaData();
            same("parameters", 6, about.getParameterCount());
            same("first", "float8", about.getParameterTypeName(1));
            same("second", "date", about.getParameterTypeName(2));
            for (int i = 0; i < 8; i++) {
                statement.setDouble(1, -1);
                statement.setObject(2, LocalDate.of(2000, 1, 1));
                statement.setTimestamp(3, Timestamp.from(Instant.parse("2000-01-01T00:00:00Z")));
                statement.setString(4, "none");
                statement.setBoolean(5, true);
                statement.setInt(6, 1_000_000);
                same("all views", all, all(statement.executeQuery()).get(0).get(0));
            }
            statement.setBigDecimal(1, new BigDecimal("1e9"));
            same("none", 0L, all(statement.executeQuery()).get(0).get(0));
        }
        try (PreparedStatement statement = c.prepareStatement(
                "select video_id from gold.viewer_retention where video_id = any(?) order by 1")) {
            statement.setArray(1, c.createArrayOf("text", new Object[] {"v0003", "v0004"}));
            same("any", 2, all(statement.executeQuery()).size());
        }
        try (PreparedStatement statement = c.prepareStatement("select ?::int + 1, ?, coalesce(?, 'none')")) {
            statement.setInt(1, 41);
            statement.setString(2, "text");
            statement.setNull(3, Types.VARCHAR);
            same("returned", List.of(42L, "text", "none").toString(), all(statement.executeQuery()).get(0).toString());
        }
    }

    static void fetching(Connection c, boolean simple) throws SQLException {
        String sql = "select video_id, second_s, plays from gold.retention_curve";
        int whole = all(c.createStatement().executeQuery(sql)).size();
        c.setAutoCommit(false);
        try (Statement statement = c.createStatement()) {
            statement.setFetchSize(100);
            same("in parts", whole, all(statement.executeQuery(sql)).size());
        }
        try (PreparedStatement statement = c.prepareStatement(sql + " where plays >= ?")) {
            statement.setFetchSize(7);
            statement.setInt(1, 0);
            try (ResultSet rows = statement.executeQuery()) {
                for (int i = 0; i < 20; i++) same("next", true, rows.next());
            }
            // The driver leaves the limit out of a simple query.
            statement.setMaxRows(10);
            same("at most", true, simple || all(statement.executeQuery()).size() == 10);
        }
        c.rollback();
        c.setAutoCommit(true);
    }

    static void refused(Connection c, String sql, String state) throws SQLException {
        try (Statement statement = c.createStatement()) {
            statement.execute(sql);
            throw new AssertionError(sql + " was taken");
        } catch (SQLException e) {
            same(sql + " (" + e.getMessage() + ")", state, e.getSQLState());
        }
    }

    static void transactions(Connection c, boolean saving) throws SQLException {
        refused(c, "insert into gold.viewer_retention values ('x', 1, 1)", "25006");
        refused(c, "selec", "42601");
        refused(c, "select * from gold.nothing", "42P01");
        refused(c, "select nothing from gold.viewer_retention", "42703");
        c.setAutoCommit(false);
        Savepoint point = c.setSavepoint("p");
        refused(c, "select 1/0", "22012");
        // With autosave the driver goes back by itself.
        if (!saving) refused(c, "select 1", "25P02");
        c.rollback(point);
        same("after", 1L, all(c.createStatement().executeQuery("select 1")).get(0).get(0));
        c.commit();
        c.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
        c.setReadOnly(true);
        same("read only", 1L, all(c.createStatement().executeQuery("select 1")).get(0).get(0));
        c.commit();
        c.setAutoCommit(true);
        c.setSchema("silver");
        same("schema", "silver", c.getSchema());
        same("unqualified", true, all(c.createStatement().executeQuery("select count(*) from views")).size() == 1);
        same("valid", true, c.isValid(5));
        try (Statement statement = c.createStatement()) {
            statement.executeUpdate("create temporary table t (a int, b text)");
            try (PreparedStatement insert = c.prepareStatement("insert into t values (?, ?)")) {
                for (int i = 0; i < 3; i++) {
                    insert.setInt(1, i);
                    insert.setString(2, "row " + i);
                    insert.addBatch();
                }
                same("inserted", 3, Arrays.stream(insert.executeBatch()).sum());
            }
            same("kept", 3L, all(statement.executeQuery("select count(*) from t")).get(0).get(0));
        }
    }

    static void stopping(Connection c) throws Exception {
        String forever = "select count(*) from gold.retention_curve a, gold.retention_curve b, gold.retention_curve c"
            + " where a.plays + b.plays + c.plays < 0";
        try (Statement statement = c.createStatement()) {
            statement.setQueryTimeout(1);
            long began = System.nanoTime();
            try {
                statement.executeQuery(forever);
                throw new AssertionError("it ended");
            } catch (SQLException e) {
                same("state", "57014", e.getSQLState());
            }
            same("at once", true, System.nanoTime() - began < 3_000_000_000L);
        }
        same("after", 1L, all(c.createStatement().executeQuery("select 1")).get(0).get(0));
    }

    public static void main(String[] arguments) throws Exception {
        String url = arguments[0];
        // As the driver is by default; with plain queries; with binary values and named statements from the first execution on.
        String[][] modes = {{}, {"preferQueryMode", "simple"}, {"prepareThreshold", "-1", "binaryTransfer", "true"},
            {"preferQueryMode", "extendedForPrepared", "ApplicationName", "test"}, {"autosave", "always"}};
        for (String[] mode : modes) {
            try (Connection c = connect(url, mode)) {
                metadata(c);
                values(c);
                boolean simple = Arrays.asList(mode).contains("simple");
                if (!simple) parameters(c);
                fetching(c, simple);
                stopping(c);
                transactions(c, Arrays.asList(mode).contains("autosave"));
            }
            System.out.println(Arrays.toString(mode) + " well");
        }
        System.out.println("all well");
    }
}
