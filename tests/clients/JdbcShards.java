import java.io.StringReader;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.util.ArrayList;
import java.util.List;
import org.postgresql.PGConnection;

/** PostgreSQL's JDBC driver at work on a database of four shards: its batches, savepoints, cursors, COPY. */
public final class JdbcShards {
    private static final String INSERT = "INSERT INTO users (id, email, version) VALUES (?, ?, 1)";

    private JdbcShards() {}

    private static long value(Connection c, String sql) throws SQLException {
        try (Statement s = c.createStatement(); ResultSet rows = s.executeQuery(sql)) {
            rows.next();
            return rows.getLong(1);
        }
    }

    /** Rows of these keys in one batch: how many there are then. */
    private static long insert(Connection c, int... ids) throws SQLException {
        try (PreparedStatement s = c.prepareStatement(INSERT)) {
            for (int id : ids) {
                s.setInt(1, id);
                s.setString(2, "batch");
                s.addBatch();
            }
            s.executeBatch();
        }
        return value(c, "SELECT count(*) FROM users WHERE email = 'batch'");
    }

    private static void batches(String... settings) throws Exception {
        Checks.withConnection(c -> {
            for (int n = 0; n < 7; n++) { /* prepared by name in the end */
                Checks.equal(insert(c, 1, 2, 3, 4, 5, 6), 6L);
                Checks.refused("23505", () -> {
                    try {
                        insert(c, 7, 8, 1, 9);
                    } catch (BatchUpdateException error) {
                        throw error.getNextException() == null ? error : error.getNextException();
                    }
                });
                Checks.equal(value(c, "SELECT count(*) FROM users"), 6L);
                c.setAutoCommit(false);
                Checks.equal(insert(c, 11, 12, 13), 9L);
                c.rollback();
                c.setAutoCommit(true);
                try (Statement s = c.createStatement()) {
                    for (int id = 1; id <= 6; id++) {
                        s.addBatch("DELETE FROM users WHERE id = " + id);
                    }
                    Checks.equal(s.executeBatch(), new int[] {1, 1, 1, 1, 1, 1});
                }
            }
        }, settings);
    }

    private static void autosave() throws Exception {
        Checks.withConnection(c -> {
            c.setAutoCommit(false);
            try (PreparedStatement s = c.prepareStatement(INSERT + " RETURNING id")) {
                for (int id = 21; id <= 28; id++) {
                    s.setInt(1, id);
                    s.setString(2, "saved");
                    s.execute();
                    Checks.refused("23505", s::execute);
                }
            }
            Checks.equal(value(c, "SELECT count(*) FROM users WHERE email = 'saved'"), 8L);
            c.rollback();
        }, "autosave", "always");
    }

    private static void cursorOfAllShards(Connection c) throws Exception {
        List<Integer> seen = new ArrayList<>();
        try (Statement s = c.createStatement(); Statement other = c.createStatement()) {
            s.setFetchSize(1);
            try (ResultSet rows = s.executeQuery("SELECT id FROM users ORDER BY id DESC")) {
                while (rows.next()) {
                    seen.add(rows.getInt(1));
                    Checks.equal(other.executeUpdate("UPDATE users SET email = 'seen' WHERE id = " + seen.get(0)), 1);
                }
            }
            s.setMaxRows(3);
            try (ResultSet rows = s.executeQuery("SELECT id FROM users ORDER BY id")) {
                while (rows.next()) {
                    seen.add(rows.getInt(1));
                }
            }
        }
        Checks.equal(seen, List.of(34, 33, 32, 31, 31, 32, 33));
    }

    private static void cursors() throws Exception {
        Checks.withConnection(c -> {
            insert(c, 31, 32, 33, 34);
            c.setAutoCommit(false);
            List<Integer> seen = new ArrayList<>();
            try (Statement s = c.createStatement()) {
                s.setFetchSize(2);
                String sql = "SELECT n FROM users, generate_series(1, 7) n WHERE id = 33";
                try (ResultSet rows = s.executeQuery(sql)) {
                    while (rows.next()) {
                        seen.add(rows.getInt(1));
                    }
                }
            }
            Checks.equal(seen, List.of(1, 2, 3, 4, 5, 6, 7));
            cursorOfAllShards(c);
            c.commit();
            c.setAutoCommit(true);
            c.createStatement().execute("DELETE FROM users");
        });
    }

    /** A result that comes so many rows at a time. */
    private static ResultSet open(Connection c, int size, String sql, int from) throws SQLException {
        PreparedStatement s = c.prepareStatement(sql);
        s.setFetchSize(size);
        s.setInt(1, from);
        return s.executeQuery();
    }

    private static List<Integer> next(ResultSet rows, int count) throws SQLException {
        List<Integer> seen = new ArrayList<>();
        while (seen.size() < count && rows.next()) {
            seen.add(rows.getInt(1));
        }
        return seen;
    }

    private static List<Integer> range(int from, int to) {
        List<Integer> numbers = new ArrayList<>();
        for (int n = from; n <= to; n++) {
            numbers.add(n);
        }
        return numbers;
    }

    /** Several at once: of all shards, of one, and of the coordinator; others' writes and savepoints between them. */
    private static void portalsAtOnce(Connection c) throws Exception {
        ResultSet all = open(c, 2, "SELECT id, email FROM users WHERE id >= ? ORDER BY id", 61);
        ResultSet one = open(c, 3, "SELECT n FROM users, generate_series(1, 9) n WHERE id = ? ORDER BY n", 62);
        ResultSet whole = open(c, 4, "SELECT row_number() OVER (ORDER BY id) FROM users WHERE id >= ?", 61);
        ResultSet large = open(c, 50, "SELECT id + 1000 * n FROM users, generate_series(1, 300) n WHERE id > ?", 60);
        Checks.equal(next(all, 3), range(61, 63));
        Checks.equal(next(one, 4), range(1, 4));
        Checks.equal(next(whole, 5), range(1, 5));
        Checks.equal(next(large, 60).size(), 60);
        Checks.equal(c.createStatement().executeUpdate("UPDATE users SET email = 'between' WHERE id >= 61"), 20);
        Checks.equal(insert(c, 101, 102), 2L);
        java.sql.Savepoint saved = c.setSavepoint();
        ResultSet late = open(c, 1, "SELECT id FROM users WHERE id > ? ORDER BY id DESC", 0);
        Checks.equal(next(late, 2), List.of(102, 101));
        c.rollback(saved);
        Checks.refused("34000", () -> next(late, 5));
        c.rollback(saved);
        Checks.equal(next(large, 9000).size(), 20 * 300 - 60);
        Checks.equal(next(whole, 100), range(6, 20));
        Checks.equal(next(one, 100), range(5, 9));
        Checks.equal(next(all, 1), List.of(64));
        Checks.equal(all.getString(2), "portal");
        all.close();
        one.close();
        ResultSet again = open(c, 7, "SELECT id, email FROM users WHERE id >= ? ORDER BY id", 79);
        Checks.equal(next(again, 9), List.of(79, 80, 101, 102));
    }

    private static void portals(String... settings) throws Exception {
        Checks.withConnection(c -> {
            c.createStatement().execute("DELETE FROM users");
            insert(c, range(61, 80).stream().mapToInt(n -> n).toArray());
            c.createStatement().execute("UPDATE users SET email = 'portal'");
            c.setAutoCommit(false);
            for (int n = 0; n < 3; n++) {
                portalsAtOnce(c);
                c.rollback();
            }
            c.setTransactionIsolation(Connection.TRANSACTION_REPEATABLE_READ);
            ResultSet all = open(c, 3, "SELECT id FROM users WHERE id >= ? ORDER BY id", 61);
            Checks.equal(next(all, 4), range(61, 64));
            Checks.withConnection(other -> other.createStatement().execute("DELETE FROM users"));
            ResultSet left = open(c, 2, "SELECT id FROM users WHERE id >= ? ORDER BY id", 61);
            Checks.equal(next(left, 2), range(61, 62));
            Checks.equal(next(all, 100), range(65, 80));
            c.commit();
            Checks.refused("34000", () -> next(left, 1));
            c.rollback();
        }, settings);
    }

    private static void generatedKeys() throws Exception {
        Checks.withConnection(c -> {
            String sql = "INSERT INTO users (id, email, version) VALUES (41, 'a', 1), (42, 'b', 1), (43, 'c', 1)";
            try (Statement s = c.createStatement()) {
                Checks.equal(s.executeUpdate(sql, new String[] {"id"}), 3);
                List<Integer> keys = new ArrayList<>();
                ResultSet rows = s.getGeneratedKeys();
                while (rows.next()) {
                    keys.add(rows.getInt(1));
                }
                Checks.equal(keys, List.of(41, 42, 43));
                Checks.equal(s.executeUpdate("UPDATE users SET email = 'x'; DELETE FROM users WHERE id = 41"), 3);
                s.execute("DELETE FROM users");
            }
        });
    }

    private static void copies() throws Exception {
        Checks.withConnection(c -> {
            PGConnection driver = c.unwrap(PGConnection.class);
            StringReader rows = new StringReader("51\tcopied\t1\n52\tcopied\t1\n53\tcopied\t1\n");
            Checks.equal(driver.getCopyAPI().copyIn("COPY users (id, email, version) FROM STDIN", rows), 3L);
            c.createStatement().execute("DELETE FROM users");
        });
    }

    public static void main(String[] names) throws Exception {
        Checks checks = new Checks();
        checks.add("batches", JdbcShards::batches);
        checks.add("batches_prepared", () -> batches("prepareThreshold", "1"));
        checks.add("batches_rewritten", () -> batches("reWriteBatchedInserts", "true"));
        checks.add("batches_saved", () -> batches("autosave", "always", "prepareThreshold", "-1"));
        checks.add("autosave", JdbcShards::autosave);
        checks.add("cursors", JdbcShards::cursors);
        checks.add("portals", JdbcShards::portals);
        checks.add("portals_prepared", () -> portals("prepareThreshold", "1"));
        checks.add("portals_in_binary", () -> portals("prepareThreshold", "-1", "binaryTransfer", "true"));
        checks.add("generated_keys", JdbcShards::generatedKeys);
        checks.add("copies", JdbcShards::copies);
        System.exit(checks.run(() -> { }, () -> { }, names));
    }
}
