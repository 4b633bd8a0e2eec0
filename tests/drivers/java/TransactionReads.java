import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.Properties;

/**
 * pgjdbc without autocommit: every read stands in a transaction, which the driver begins in one
 * group of messages with the first statement.
 *
 * <p>There is a table {@code counters} with the columns {@code i} and {@code n}, and a row for each
 * {@code i} from 1 to 8. Where to connect comes from the environment, as libpq reads it.
 */
public final class TransactionReads {
    private static final int ROWS = 8;
    private static final int ROUNDS = 15;

    public static void main(String[] arguments) throws Exception {
        System.out.println("pgjdbc " + org.postgresql.util.DriverInfo.DRIVER_VERSION);
        for (String options : new String[] {"prepareThreshold=5", "prepareThreshold=-1",
                "preferQueryMode=simple"}) {
            readsAlone(options);
            readsAndWrites(options);
            readsByPortions(options);
            System.out.println("ok      " + options);
        }
    }

    private static Connection connect(String options) throws SQLException {
        // Otherwise the driver sets what belongs on the primary when it has connected.
        options = options + "&assumeMinServerVersion=12";
        String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT")
                + "/" + System.getenv("PGDATABASE") + "?" + options;
        Properties who = new Properties();
        who.setProperty("user", System.getenv("PGUSER"));
        who.setProperty("password", System.getenv("PGPASSWORD"));
        Connection connection = DriverManager.getConnection(url, who);
        connection.setAutoCommit(false);
        return connection;
    }

    private static void expect(int seen, int wanted) {
        if (seen != wanted) {
            throw new AssertionError("seen " + seen + ", wanted " + wanted);
        }
    }

    private static int one(Connection connection, String sql, int... values) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            for (int at = 0; at < values.length; at++) {
                statement.setInt(at + 1, values[at]);
            }
            try (ResultSet rows = statement.executeQuery()) {
                rows.next();
                return rows.getInt(1);
            }
        }
    }

    private static void readsAlone(String options) throws SQLException {
        try (Connection connection = connect(options)) {
            for (int round = 0; round < ROUNDS; round++) {
                expect(one(connection, "SELECT count(*) FROM counters /* read */"), ROWS);
                expect(one(connection, "SELECT count(*) FROM counters WHERE i <= ?", 3), 3);
                connection.commit();
            }
            connection.setReadOnly(true);
            expect(one(connection, "SELECT count(*) FROM counters /* read only */"), ROWS);
            connection.rollback();
        }
    }

    private static void readsAndWrites(String options) throws SQLException {
        try (Connection connection = connect(options)) {
            int before = one(connection, "SELECT n FROM counters WHERE i = ?", 1);
            connection.commit();
            for (int round = 0; round < ROUNDS; round++) {
                expect(one(connection, "SELECT n FROM counters WHERE i = ?", 1), before);
                String sql = "UPDATE counters SET n = n + 1 WHERE i = ?";
                try (PreparedStatement update = connection.prepareStatement(sql)) {
                    update.setInt(1, 1);
                    expect(update.executeUpdate(), 1);
                }
                expect(one(connection, "SELECT n FROM counters WHERE i = ?", 1), before + 1);
                if (round % 3 == 2) {
                    connection.rollback();
                } else {
                    connection.commit();
                    before++;
                }
            }
            try (Statement statement = connection.createStatement()) {
                statement.executeUpdate("UPDATE counters SET n = n WHERE i = 2");
            }
            connection.commit();
        }
    }

    /** The driver leaves a portal open from one portion to the next. */
    private static void readsByPortions(String options) throws SQLException {
        try (Connection connection = connect(options)) {
            expect(one(connection, "SELECT count(*) FROM counters"), ROWS);
            try (PreparedStatement statement =
                    connection.prepareStatement("SELECT i FROM counters ORDER BY i")) {
                statement.setFetchSize(3);
                try (ResultSet rows = statement.executeQuery()) {
                    for (int row = 1; row <= ROWS; row++) {
                        rows.next();
                        expect(rows.getInt(1), row);
                    }
                }
            }
            connection.commit();
        }
    }
}
