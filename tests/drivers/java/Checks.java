import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.io.StringWriter;
import java.math.BigDecimal;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Properties;
import java.util.Set;
import java.util.UUID;
import java.util.concurrent.Callable;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyManager;

/**
 * pgjdbc behind a pooler in transaction mode with a few servers: with its default settings, and
 * with those that change what it sends.
 *
 * <p>Where to connect comes from the environment, as libpq reads it.
 */
public final class Checks {
    /** Nothing here takes long; a pooler that does not answer must not hang the tests. */
    private static final int PATIENCE_SECONDS = 30;

    private interface Work {
        void run() throws Exception;
    }

    private interface Check {
        void run(String[] options) throws Exception;
    }

    public static void main(String[] arguments) throws Exception {
        System.out.println("pgjdbc " + org.postgresql.util.DriverInfo.DRIVER_VERSION);
        check("logs in with a password", Checks::logsIn);
        check("carries values of many types", Checks::carriesTypes);
        for (String threshold : new String[] {"0", "1", "5", "-1"}) {
            check("prepareThreshold=" + threshold + ": statements work on every server",
                    Checks::prepares, "prepareThreshold=" + threshold);
        }
        check("preparedStatementCacheQueries=2: what it gives up is prepared again", Checks::prepares,
                "preparedStatementCacheQueries=2", "prepareThreshold=1");
        for (String mode : new String[] {"simple", "extended", "extendedForPrepared", "extendedCacheEverything"}) {
            check("preferQueryMode=" + mode, Checks::prepares, "preferQueryMode=" + mode);
        }
        check("batches, with generated keys and a row that fails", Checks::batches);
        check("batches rewritten as one statement", Checks::batches, "reWriteBatchedInserts=true");
        check("fetchSize: results by portions in a transaction", Checks::fetches);
        check("defaultRowFetchSize and prepareThreshold=1", Checks::fetches,
                "defaultRowFetchSize=10", "prepareThreshold=1");
        check("transactions, rollback, savepoints and isolation levels", Checks::keepsTransactions);
        check("errors, and the connection goes on", Checks::recovers);
        check("autosave=always: a failed statement does not end the transaction",
                Checks::autosaves, "autosave=always");
        check("autosave=always and prepareThreshold=1", Checks::autosaves, "autosave=always", "prepareThreshold=1");
        check("autosave=conservative: a stale plan is healed in a transaction",
                Checks::healsInTransaction, "autosave=conservative", "prepareThreshold=1");
        check("a statement is prepared again after its table has changed", Checks::heals, "prepareThreshold=1");
        check("generated keys", Checks::returnsKeys);
        check("COPY in and out", Checks::copies);
        check("LISTEN and NOTIFY", Checks::hears);
        check("a statement is cancelled, and the connection goes on", Checks::cancels);
        check("notices of the server", Checks::passesNotices);
        check("what it asks of the catalog", Checks::asksCatalog);
        check("settings of the connection on every server", Checks::followsSettings,
                "currentSchema=pg_catalog", "ApplicationName=jdbc checks", "options=-c statement_timeout=54321");
        check("twelve threads on the few servers", Checks::servesCrowd, "prepareThreshold=1");
    }

    private static void check(String name, Check check, String... options) {
        ExecutorService runner = Executors.newSingleThreadExecutor(task -> {
            Thread thread = new Thread(task);
            thread.setDaemon(true);
            return thread;
        });
        try {
            runner.submit(() -> {
                check.run(options);
                return null;
            }).get(PATIENCE_SECONDS, TimeUnit.SECONDS);
        } catch (Exception error) {
            System.out.println("FAILED  " + name);
            error.printStackTrace();
            System.exit(1);
        }
        runner.shutdown();
        System.out.println("ok      " + name);
    }

    private static Connection connect(String... options) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", System.getenv("PGUSER"));
        properties.setProperty("password", System.getenv("PGPASSWORD"));
        for (String option : options) {
            String[] parts = option.split("=", 2);
            properties.setProperty(parts[0], parts[1]);
        }
        String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/"
                + System.getenv("PGDATABASE");
        return DriverManager.getConnection(url, properties);
    }

    private static int serverOf(Connection connection) throws SQLException {
        return number(connection, "SELECT pg_backend_pid()");
    }

    /** Runs work while the server that the connection used last is held, so that it gets another one. */
    private static void elsewhere(Connection connection, Work work) throws Exception {
        int before = serverOf(connection);
        List<Connection> holders = new ArrayList<>();
        try {
            // Whoever gets another one keeps that until the server is found.
            int held;
            do {
                expect("the server is found", holders.size() < 3, true);
                Connection holder = connect();
                holders.add(holder);
                holder.setAutoCommit(false);
                held = serverOf(holder);
            } while (held != before);
            for (Connection holder : holders.subList(0, holders.size() - 1)) {
                holder.rollback();
            }
            expect("the connection moves", serverOf(connection) != before, true);
            work.run();
        } finally {
            for (Connection holder : holders) {
                holder.rollback();
                holder.close();
            }
        }
    }

    private static int number(Connection connection, String query) throws SQLException {
        try (Statement statement = connection.createStatement(); ResultSet rows = statement.executeQuery(query)) {
            rows.next();
            return rows.getInt(1);
        }
    }

    private static void run(Connection connection, String... commands) throws SQLException {
        try (Statement statement = connection.createStatement()) {
            for (String command : commands) {
                statement.execute(command);
            }
        }
    }

    private static void expect(String what, Object seen, Object wanted) {
        if (seen == null ? wanted != null : !seen.equals(wanted)) {
            throw new AssertionError(what + ": seen " + seen + ", wanted " + wanted);
        }
    }

    private static void refused(String state, Work work) throws Exception {
        try {
            work.run();
        } catch (SQLException error) {
            if (!state.equals(error.getSQLState())) {
                throw error;
            }
            return;
        }
        throw new AssertionError(state + " did not come");
    }

    private static void logsIn(String[] options) throws SQLException {
        try (Connection connection = connect(options)) {
            expect("database", connection.getCatalog(), System.getenv("PGDATABASE"));
            expect("valid", connection.isValid(PATIENCE_SECONDS), true);
        }
    }

    private static void carriesTypes(String[] options) throws Exception {
        Object[][] values = {
            {"bool", true},
            {"int4", Integer.MAX_VALUE},
            {"int8", Long.MIN_VALUE},
            {"numeric", new BigDecimal("-12345678901234567890.000000012")},
            {"float8", 1.5e300},
            {"text", "naïve 'quotes' \\ and 漢字"},
            {"text", "0123456789abcdef".repeat(65536)},
            {"date", LocalDate.of(1999, 12, 31)},
            {"timestamptz", OffsetDateTime.of(2020, 2, 29, 12, 30, 0, 0, ZoneOffset.UTC)},
            {"uuid", UUID.fromString("12345678-1234-5678-1234-567812345678")},
        };
        try (Connection connection = connect(options)) {
            for (Object[] pair : values) {
                try (PreparedStatement statement = connection.prepareStatement("SELECT ?::" + pair[0])) {
                    statement.setObject(1, pair[1]);
                    // Often enough that it turns to a named statement and to binary results.
                    for (int turn = 0; turn < 7; turn++) {
                        try (ResultSet rows = statement.executeQuery()) {
                            rows.next();
                            expect(pair[0].toString(), rows.getObject(1, pair[1].getClass()), pair[1]);
                        }
                    }
                }
            }
            byte[] bytes = {0, 1, -1, 39, 92};
            Integer[] numbers = {1, null, 3};
            try (PreparedStatement statement = connection.prepareStatement("SELECT ?::bytea, ?::int4[], ?::text")) {
                statement.setBytes(1, bytes);
                statement.setArray(2, connection.createArrayOf("int4", numbers));
                statement.setString(3, null);
                for (int turn = 0; turn < 7; turn++) {
                    try (ResultSet rows = statement.executeQuery()) {
                        rows.next();
                        expect("bytea", Arrays.equals(rows.getBytes(1), bytes), true);
                        expect("array", Arrays.equals((Integer[]) rows.getArray(2).getArray(), numbers), true);
                        expect("null", rows.getString(3), null);
                    }
                }
            }
        }
    }

    private static void prepares(String[] options) throws Exception {
        try (Connection connection = connect(options);
                PreparedStatement plus = connection.prepareStatement("SELECT ?::int + 1")) {
            for (int turn = 0; turn < 3; turn++) {
                elsewhere(connection, () -> {
                    for (int number = 0; number < 7; number++) {
                        plus.setInt(1, number);
                        try (ResultSet rows = plus.executeQuery()) {
                            rows.next();
                            expect("sum", rows.getInt(1), number + 1);
                        }
                        String text = "SELECT ?::int * " + number;
                        try (PreparedStatement times = connection.prepareStatement(text)) {
                            times.setInt(1, 3);
                            try (ResultSet rows = times.executeQuery()) {
                                rows.next();
                                expect("product", rows.getInt(1), 3 * number);
                            }
                        }
                    }
                });
            }
            connection.setAutoCommit(false);
            expect("in a transaction", serverOf(connection), serverOf(connection));
            connection.rollback();
        }
    }

    private static void batches(String[] options) throws Exception {
        try (Connection connection = connect(options)) {
            run(connection, "DROP TABLE IF EXISTS batch_jdbc",
                    "CREATE TABLE batch_jdbc (id serial, i int PRIMARY KEY, t text)");
            String insert = "INSERT INTO batch_jdbc (i, t) VALUES (?, ?)";
            try (PreparedStatement statement = connection.prepareStatement(insert, Statement.RETURN_GENERATED_KEYS)) {
                for (int number = 0; number < 1000; number++) {
                    statement.setInt(1, number);
                    statement.setString(2, "row " + number);
                    statement.addBatch();
                }
                expect("batch", statement.executeBatch().length, 1000);
                int keys = 0;
                try (ResultSet rows = statement.getGeneratedKeys()) {
                    while (rows.next()) {
                        keys++;
                    }
                }
                expect("keys", keys, 1000);
            }
            connection.setAutoCommit(false);
            try (PreparedStatement statement = connection.prepareStatement(insert)) {
                for (int number : new int[] {5000, 1, 5001}) {
                    statement.setInt(1, number);
                    statement.setString(2, "again");
                    statement.addBatch();
                }
                statement.executeBatch();
                throw new AssertionError("a duplicate was taken");
            } catch (BatchUpdateException error) {
                expect("state", error.getSQLState(), "23505");
                connection.rollback();
            }
            connection.setAutoCommit(true);
            try (Statement statement = connection.createStatement()) {
                statement.addBatch("INSERT INTO batch_jdbc (i) VALUES (6000)");
                statement.addBatch("UPDATE batch_jdbc SET t = 'x' WHERE i < 10");
                expect("mixed", Arrays.toString(statement.executeBatch()), "[1, 10]");
            }
            expect("rows", number(connection, "SELECT count(*) FROM batch_jdbc"), 1001);
        }
    }

    private static void fetches(String[] options) throws Exception {
        try (Connection connection = connect(options)) {
            connection.setAutoCommit(false);
            for (int turn = 0; turn < 3; turn++) {
                long total = 0;
                String query = "SELECT generate_series(1, ?)";
                try (PreparedStatement statement = connection.prepareStatement(query)) {
                    statement.setFetchSize(100);
                    statement.setInt(1, 1050);
                    try (ResultSet rows = statement.executeQuery()) {
                        while (rows.next()) {
                            total += rows.getInt(1);
                            if (rows.getRow() % 300 == 0) {
                                // Another statement between two portions.
                                expect("between", number(connection, "SELECT 7"), 7);
                            }
                        }
                    }
                }
                expect("total", total, 1050L * 1051 / 2);
                connection.commit();
            }
        }
    }

    private static void keepsTransactions(String[] options) throws Exception {
        try (Connection connection = connect(options)) {
            run(connection, "DROP TABLE IF EXISTS tx_jdbc", "CREATE TABLE tx_jdbc (i int PRIMARY KEY)");
            connection.setAutoCommit(false);
            run(connection, "INSERT INTO tx_jdbc VALUES (1)");
            Savepoint savepoint = connection.setSavepoint();
            refused("23505", () -> run(connection, "INSERT INTO tx_jdbc VALUES (1)"));
            refused("25P02", () -> run(connection, "SELECT 1"));
            connection.rollback(savepoint);
            run(connection, "INSERT INTO tx_jdbc VALUES (2)");
            connection.releaseSavepoint(savepoint);
            connection.commit();
            run(connection, "INSERT INTO tx_jdbc VALUES (3)");
            connection.rollback();
            expect("rows", number(connection, "SELECT sum(i) FROM tx_jdbc"), 3);
            connection.rollback();
            connection.setTransactionIsolation(Connection.TRANSACTION_SERIALIZABLE);
            connection.setReadOnly(true);
            refused("25006", () -> run(connection, "INSERT INTO tx_jdbc VALUES (4)"));
            connection.rollback();
            elsewhereInTransactions(connection);
        }
    }

    /** Isolation level and read-only are settings of the session; they must follow. */
    private static void elsewhereInTransactions(Connection connection) throws Exception {
        connection.setAutoCommit(true);
        elsewhere(connection, () -> {
            connection.setAutoCommit(false);
            refused("25006", () -> run(connection, "INSERT INTO tx_jdbc VALUES (4)"));
            connection.rollback();
            expect("level", connection.getTransactionIsolation(), Connection.TRANSACTION_SERIALIZABLE);
            connection.rollback();
            connection.setAutoCommit(true);
        });
    }

    private static void recovers(String[] options) throws Exception {
        try (Connection connection = connect(options);
                PreparedStatement divide = connection.prepareStatement("SELECT 6 / ?")) {
            for (int turn = 0; turn < 8; turn++) {
                divide.setInt(1, 0);
                refused("22012", divide::executeQuery);
                divide.setInt(1, 3);
                try (ResultSet rows = divide.executeQuery()) {
                    rows.next();
                    expect("quotient", rows.getInt(1), 2);
                }
                refused("42601", () -> run(connection, "SELEC 1"));
                refused("42P01", () -> run(connection, "SELECT * FROM nowhere"));
            }
        }
    }

    private static void autosaves(String[] options) throws Exception {
        try (Connection connection = connect(options)) {
            run(connection, "DROP TABLE IF EXISTS save_jdbc", "CREATE TABLE save_jdbc (i int PRIMARY KEY)");
            connection.setAutoCommit(false);
            try (PreparedStatement insert = connection.prepareStatement("INSERT INTO save_jdbc VALUES (?)")) {
                for (int number : new int[] {1, 1, 2, 2, 3, 3, 4}) {
                    insert.setInt(1, number);
                    try {
                        insert.executeUpdate();
                    } catch (SQLException error) {
                        expect("state", error.getSQLState(), "23505");
                    }
                }
            }
            connection.commit();
            expect("rows", number(connection, "SELECT count(*) FROM save_jdbc"), 4);
            connection.commit();
        }
    }

    private static void heals(String[] options) throws Exception {
        try (Connection connection = connect(options); Connection other = connect()) {
            run(other, "DROP TABLE IF EXISTS stale_jdbc", "CREATE TABLE stale_jdbc AS SELECT 1 AS a");
            try (PreparedStatement all = connection.prepareStatement("SELECT * FROM stale_jdbc")) {
                expect("columns", columns(all), 1);
                expect("columns", columns(all), 1);
                run(other, "ALTER TABLE stale_jdbc ADD b int");
                expect("columns", columns(all), 2);
                elsewhere(connection, () -> expect("columns", columns(all), 2));
            }
        }
    }

    private static void healsInTransaction(String[] options) throws Exception {
        try (Connection connection = connect(options); Connection other = connect()) {
            run(other, "DROP TABLE IF EXISTS stale_jdbc", "CREATE TABLE stale_jdbc AS SELECT 1 AS a");
            connection.setAutoCommit(false);
            try (PreparedStatement all = connection.prepareStatement("SELECT * FROM stale_jdbc")) {
                expect("columns", columns(all), 1);
                expect("columns", columns(all), 1);
                connection.commit();
                run(other, "ALTER TABLE stale_jdbc ADD b int");
                expect("in a transaction", number(connection, "SELECT 1"), 1);
                expect("columns", columns(all), 2);
                connection.commit();
            }
        }
    }

    private static int columns(PreparedStatement statement) throws SQLException {
        try (ResultSet rows = statement.executeQuery()) {
            return rows.getMetaData().getColumnCount();
        }
    }

    private static void returnsKeys(String[] options) throws Exception {
        try (Connection connection = connect(options)) {
            run(connection, "DROP TABLE IF EXISTS keys_jdbc", "CREATE TABLE keys_jdbc (id serial, t text)");
            String insert = "INSERT INTO keys_jdbc (t) VALUES (?)";
            try (PreparedStatement statement = connection.prepareStatement(insert, new String[] {"id"})) {
                for (int number = 1; number <= 10; number++) {
                    statement.setString(1, "row");
                    statement.executeUpdate();
                    try (ResultSet rows = statement.getGeneratedKeys()) {
                        rows.next();
                        expect("key", rows.getInt(1), number);
                    }
                }
            }
        }
    }

    private static void copies(String[] options) throws Exception {
        try (Connection connection = connect(options)) {
            run(connection, "DROP TABLE IF EXISTS copy_jdbc", "CREATE TABLE copy_jdbc (i int, t text)");
            StringBuilder lines = new StringBuilder();
            for (int number = 0; number < 20000; number++) {
                lines.append(number).append("\trow ").append(number).append('\n');
            }
            CopyManager copy = connection.unwrap(PGConnection.class).getCopyAPI();
            StringReader reader = new StringReader(lines.toString());
            expect("in", copy.copyIn("COPY copy_jdbc FROM STDIN", reader), 20000L);
            StringWriter writer = new StringWriter();
            expect("out", copy.copyOut("COPY copy_jdbc TO STDOUT", writer), 20000L);
            expect("text", writer.toString(), lines.toString());
            ByteArrayOutputStream binary = new ByteArrayOutputStream();
            copy.copyOut("COPY copy_jdbc TO STDOUT (FORMAT binary)", binary);
            expect("binary", new String(binary.toByteArray(), 0, 6, "ISO-8859-1"), "PGCOPY");
            refused("22P02", () -> copy.copyIn("COPY copy_jdbc FROM STDIN", new StringReader("nonsense\tx\n")));
            expect("rows", number(connection, "SELECT count(*) FROM copy_jdbc"), 20000);
        }
    }

    private static void hears(String[] options) throws Exception {
        try (Connection listener = connect(options); Connection speaker = connect(options)) {
            run(listener, "LISTEN jdbc_channel");
            run(speaker, "SELECT pg_notify('jdbc_channel', 'from afar')");
            PGNotification[] heard = listener.unwrap(PGConnection.class).getNotifications(PATIENCE_SECONDS * 1000);
            expect("heard", heard.length + " " + heard[0].getParameter(), "1 from afar");
            run(listener, "UNLISTEN *");
        }
    }

    private static void cancels(String[] options) throws Exception {
        try (Connection connection = connect(options); Statement statement = connection.createStatement()) {
            ExecutorService later = Executors.newSingleThreadExecutor();
            Future<?> cancel = later.submit((Callable<Void>) () -> {
                Thread.sleep(300);
                statement.cancel();
                return null;
            });
            refused("57014", () -> statement.execute("SELECT pg_sleep(60)"));
            cancel.get();
            later.shutdown();
            expect("after", number(connection, "SELECT 1"), 1);
            statement.setQueryTimeout(1);
            refused("57014", () -> statement.execute("SELECT pg_sleep(60)"));
            expect("after", number(connection, "SELECT 1"), 1);
        }
    }

    private static void passesNotices(String[] options) throws Exception {
        try (Connection connection = connect(options); Statement statement = connection.createStatement()) {
            statement.execute("DROP TABLE IF EXISTS never_there");
            expect("notice", statement.getWarnings().getMessage(),
                    "table \"never_there\" does not exist, skipping");
        }
    }

    private static void asksCatalog(String[] options) throws Exception {
        try (Connection connection = connect(options)) {
            run(connection, "DROP TABLE IF EXISTS meta_jdbc", "CREATE TABLE meta_jdbc (i int PRIMARY KEY, t text)");
            int columns = 0;
            try (ResultSet rows = connection.getMetaData().getColumns(null, null, "meta_jdbc", null)) {
                while (rows.next()) {
                    columns++;
                }
            }
            expect("columns", columns, 2);
            try (ResultSet rows = connection.getMetaData().getPrimaryKeys(null, null, "meta_jdbc")) {
                rows.next();
                expect("key", rows.getString("COLUMN_NAME"), "i");
            }
        }
    }

    private static void followsSettings(String[] options) throws Exception {
        try (Connection connection = connect(options)) {
            for (int turn = 0; turn < 2; turn++) {
                expect("schema", connection.getSchema(), "pg_catalog");
                run(connection, "SET TimeZone = 'Asia/Tokyo'");
                List<String> seen = new ArrayList<>();
                for (String name : new String[] {"TimeZone", "application_name", "statement_timeout"}) {
                    try (Statement statement = connection.createStatement();
                            ResultSet rows = statement.executeQuery("SHOW " + name)) {
                        rows.next();
                        seen.add(rows.getString(1));
                    }
                }
                expect("settings", seen.toString(), "[Asia/Tokyo, jdbc checks, 54321ms]");
            }
        }
    }

    private static void servesCrowd(String[] options) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(12);
        Set<String> servers = ConcurrentHashMap.newKeySet();
        List<Future<Void>> all = new ArrayList<>();
        for (int thread = 0; thread < 12; thread++) {
            int seed = thread;
            all.add(threads.submit(() -> {
                try (Connection connection = connect(options)) {
                    for (int number = 0; number < 40; number++) {
                        String query = "SELECT ?::int + " + number % 5;
                        connection.setAutoCommit(number % 4 != 0);
                        try (PreparedStatement statement = connection.prepareStatement(query)) {
                            statement.setInt(1, seed);
                            try (ResultSet rows = statement.executeQuery()) {
                                rows.next();
                                expect("sum", rows.getInt(1), seed + number % 5);
                            }
                        }
                        servers.add(seed + " " + serverOf(connection));
                        if (!connection.getAutoCommit()) {
                            connection.commit();
                        }
                    }
                }
                return null;
            }));
        }
        for (Future<Void> one : all) {
            one.get();
        }
        threads.shutdown();
        expect("connections change servers", servers.size() > 12, true);
    }
}
