import java.io.ByteArrayOutputStream;
import java.io.StringReader;
import java.math.BigDecimal;
import java.nio.charset.StandardCharsets;
import java.sql.Array;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Savepoint;
import java.sql.Statement;
import java.time.LocalDate;
import java.time.LocalDateTime;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.UUID;
import javax.transaction.xa.XAException;
import javax.transaction.xa.XAResource;
import javax.transaction.xa.Xid;
import org.postgresql.PGConnection;
import org.postgresql.PGNotification;
import org.postgresql.copy.CopyIn;
import org.postgresql.copy.CopyManager;
import org.postgresql.xa.PGXADataSource;

/** PostgreSQL's JDBC driver at work, with more connections than the proxy has servers. */
public final class JdbcChecks {
    private static final String SCHEMA = "jdbc_checks";
    private static final String[] PREPARED = {"prepareThreshold", "1"};
    private static final String[] BINARY = {"prepareThreshold", "-1"};

    private JdbcChecks() {}

    private static void execute(Connection c, String sql) throws SQLException {
        try (Statement s = c.createStatement()) {
            s.execute(sql);
        }
    }

    private static void execute(String sql) throws Exception {
        Checks.withConnection(c -> execute(c, sql));
    }

    /** The first column of the first row. */
    private static Object value(Connection c, String sql, Object... parameters) throws SQLException {
        try (PreparedStatement s = c.prepareStatement(sql)) {
            return value(s, parameters);
        }
    }

    private static Object value(PreparedStatement s, Object... parameters) throws SQLException {
        for (int i = 0; i < parameters.length; i++) {
            s.setObject(i + 1, parameters[i]);
        }
        try (ResultSet rows = s.executeQuery()) {
            rows.next();
            return rows.getObject(1);
        }
    }

    private static void setup() throws Exception {
        execute("DROP SCHEMA IF EXISTS " + SCHEMA + " CASCADE; CREATE SCHEMA " + SCHEMA);
        execute("CREATE TABLE " + SCHEMA + ".items (id serial PRIMARY KEY, client int, name text UNIQUE)");
        execute("CREATE TABLE " + SCHEMA + ".accounts (id int PRIMARY KEY, balance bigint NOT NULL)");
        execute("CREATE TABLE " + SCHEMA + ".types (id int PRIMARY KEY, a int2, b int4, c int8, d float8, e numeric, "
            + "f text, g bytea, h date, i timestamp, j timestamptz, k uuid, l jsonb, m int4[], n text[], o bool)");
    }

    private static void teardown() throws Exception {
        execute("DROP SCHEMA " + SCHEMA + " CASCADE");
    }

    private static void connectScram() throws Exception {
        Checks.withConnection(c -> {
            Checks.equal(value(c, "SELECT current_user::text"), System.getenv("PGUSER"));
            Checks.equal(c.getMetaData().getDatabaseMajorVersion(), 15);
            Checks.equal(c.isValid(5), true);
        });
        Checks.refused("28P01", () -> Checks.connect("password", "wrong").close());
        Checks.refused("28P01", () -> Checks.connect("user", "nobody_of_that_name").close());
        Checks.refused("3D000", () -> Checks.connect("database", "no_such_database").close());
    }

    private static void queryModes() throws Exception {
        String[] modes = {"simple", "extended", "extendedForPrepared", "extendedCacheEverything"};
        Checks.eachClient(number -> Checks.withConnection(c -> {
            for (int i = 0; i < 15; i++) {
                Checks.equal(value(c, "SELECT ?::int + 1", number), number + 1);
                Checks.equal(value(c, "SELECT ?::text", "it's " + i), "it's " + i);
                try (Statement s = c.createStatement()) {
                    Checks.equal(s.execute("SELECT 1; SELECT 2 AS b, 3"), true);
                    Checks.equal(s.getMoreResults(), true);
                    ResultSet rows = s.getResultSet();
                    rows.next();
                    Checks.equal(rows.getInt("b"), 2);
                    Checks.equal(s.getMoreResults(), false);
                }
            }
        }, "preferQueryMode", modes[number % modes.length]));
    }

    private static final Object[] TYPES = {
        (short) -32768, 2147483647, -9223372036854775808L, 0.1,
        new BigDecimal("123456789012345678901234567890.000000012345"), "naïve — 日本語 🐘 'quote' \\ \n tab\t",
        new byte[] {0, 1, 127, -128, -1, '\\', '\''}, LocalDate.of(2024, 2, 29),
        LocalDateTime.of(1999, 12, 31, 23, 59, 59, 999999000),
        OffsetDateTime.of(2024, 6, 1, 10, 0, 0, 5000, ZoneOffset.UTC),
        UUID.fromString("12345678-1234-5678-1234-567812345678"), "{\"a\": [1, 2.5, null, \"ü\"]}",
        new Integer[] {1, null, 3}, new String[] {"a,b", "c\"d", "{}", null, ""}, true};

    private static final Class<?>[] READ_AS = {
        Short.class, Integer.class, Long.class, Double.class, BigDecimal.class, String.class, byte[].class,
        LocalDate.class, LocalDateTime.class, OffsetDateTime.class, UUID.class, String.class, Array.class, Array.class,
        Boolean.class};

    private static void types() throws Exception {
        Checks.eachClient(number -> Checks.withConnection(c -> {
            String marks = "?, ".repeat(11) + "?, ?::jsonb, ?, ?, ?";
            try (PreparedStatement in = c.prepareStatement("INSERT INTO " + SCHEMA + ".types VALUES (" + marks + ")");
                    PreparedStatement out = c.prepareStatement("SELECT * FROM " + SCHEMA + ".types WHERE id = ?")) {
                for (int round = 0; round < 6; round++) {
                    int id = number * 10 + round;
                    typesInsert(c, in, id, round == 5);
                    out.setInt(1, id);
                    try (ResultSet row = out.executeQuery()) {
                        row.next();
                        typesCompare(row, round == 5);
                    }
                }
            }
        }, number % 2 == 0 ? PREPARED : BINARY));
    }

    private static void typesInsert(Connection c, PreparedStatement in, int id, boolean nulls) throws SQLException {
        in.setInt(1, id);
        for (int i = 0; i < TYPES.length; i++) {
            Object value = TYPES[i];
            if (nulls) {
                in.setNull(i + 2, java.sql.Types.NULL);
            } else if (value instanceof Object[]) {
                in.setArray(i + 2, c.createArrayOf(value instanceof Integer[] ? "int4" : "text", (Object[]) value));
            } else {
                in.setObject(i + 2, value);
            }
        }
        Checks.equal(in.executeUpdate(), 1);
    }

    private static void typesCompare(ResultSet row, boolean nulls) throws SQLException {
        for (int i = 0; i < TYPES.length; i++) {
            Object got;
            if (READ_AS[i] == Array.class) {
                Array array = row.getArray(i + 2);
                got = array == null ? null : array.getArray();
            } else if (READ_AS[i] == String.class) {
                got = row.getString(i + 2);
            } else if (READ_AS[i] == byte[].class) {
                got = row.getBytes(i + 2);
            } else if (READ_AS[i] == Short.class) {
                got = row.getObject(i + 2) == null ? null : row.getShort(i + 2);
            } else {
                got = row.getObject(i + 2, READ_AS[i]);
            }
            Checks.equal(got, nulls ? null : TYPES[i]);
        }
    }

    /** The driver's names (S_1 ...) are the same in every connection, their texts are not. */
    private static void preparedStatements() throws Exception {
        Checks.eachClient(number -> Checks.withConnection(c -> {
            try (PreparedStatement own = c.prepareStatement("SELECT ?::int + " + number);
                    PreparedStatement same = c.prepareStatement("SELECT ?::int8 * 2")) {
                for (int i = 0; i < 40; i++) {
                    Checks.equal(value(own, i), i + number);
                    Checks.equal(value(same, (long) i), 2L * i);
                    if (i % 8 == 0) {
                        Checks.equal(value(c, "SELECT ?::text", "x" + i), "x" + i);
                    }
                }
            }
        }, number % 2 == 0 ? PREPARED : BINARY));
    }

    /** A small statement cache in the driver, so that it closes statements all the time. */
    private static void preparedEvicted() throws Exception {
        Checks.eachClient(number -> Checks.withConnection(c -> {
            for (int i = 0; i < 80; i++) {
                int shape = (i * 7 + number) % 11;
                Checks.equal(value(c, "SELECT ?::int + " + shape, i), i + shape);
            }
        }, "prepareThreshold", "1", "preparedStatementCacheQueries", "3"));
    }

    private static void preparedInTransactions() throws Exception {
        Checks.eachClient(number -> Checks.withConnection(c -> {
            c.setAutoCommit(false);
            try (PreparedStatement own = c.prepareStatement("SELECT ?::int - " + number)) {
                for (int i = 0; i < 25; i++) {
                    Checks.equal(value(own, i), i - number);
                    Checks.equal(value(c, "SELECT ?::int", i), i);
                    if (i % 3 == 0) {
                        c.rollback();
                    } else {
                        c.commit();
                    }
                }
            }
        }, PREPARED));
    }

    /** The driver prepares anew by itself outside of transactions, as it does without a proxy. */
    private static void preparedAndSchemaChange() throws Exception {
        String table = SCHEMA + ".changing";
        execute("CREATE TABLE " + table + " (a int); INSERT INTO " + table + " VALUES (1)");
        Checks.withConnection(c -> {
            try (PreparedStatement all = c.prepareStatement("SELECT * FROM " + table)) {
                Checks.equal(value(all), 1);
                Checks.equal(value(all), 1);
                execute("ALTER TABLE " + table + " ALTER a TYPE text USING a || 'x'");
                Checks.equal(value(all), "1x");
            }
        }, PREPARED);
    }

    private static void errorRecovery() throws Exception {
        Checks.eachClient(number -> Checks.withConnection(c -> {
            for (int i = 0; i < 5; i++) {
                Checks.refused("42P01", () -> value(c, "SELECT * FROM no_such_table"));
                Checks.refused("22012", () -> value(c, "SELECT 1 / ?::int", 0));
                Checks.equal(value(c, "SELECT ?::int", number), number);
            }
            c.setAutoCommit(false);
            Checks.refused("22012", () -> value(c, "SELECT 1 / ?::int", 0));
            Checks.refused("25P02", () -> value(c, "SELECT 1"));
            c.rollback();
            Checks.equal(value(c, "SELECT ?::int", number), number);
            c.commit();
        }, PREPARED));
    }

    private static void autosaveAlways() throws Exception {
        Checks.eachClient(number -> Checks.withConnection(c -> {
            c.setAutoCommit(false);
            String name = "autosave " + number + "/";
            try (PreparedStatement in = c.prepareStatement("INSERT INTO " + SCHEMA + ".items (name) VALUES (?)")) {
                in.setString(1, name);
                in.executeUpdate();
                for (int i = 0; i < 5; i++) {
                    Checks.refused("23505", in::executeUpdate);
                    Checks.equal(value(c, "SELECT ?::int", i), i);
                }
                in.setString(1, name + " more");
                in.executeUpdate();
            }
            c.commit();
            String count = "SELECT count(*) FROM " + SCHEMA + ".items WHERE name LIKE ?";
            Checks.equal(value(c, count, name + "%"), 2L);
            c.commit();
        }, "autosave", "always", "prepareThreshold", "1", "cleanupSavepoints", String.valueOf(number % 2 == 0)));
    }

    private static void savepoints() throws Exception {
        Checks.eachClient(number -> Checks.withConnection(c -> {
            c.setAutoCommit(false);
            String insert = "INSERT INTO " + SCHEMA + ".items (client, name) VALUES (" + (100 + number) + ", ";
            execute(c, insert + "'outer " + number + "')");
            Savepoint unnamed = c.setSavepoint();
            execute(c, insert + "'lost " + number + "')");
            c.rollback(unnamed);
            Savepoint named = c.setSavepoint("a name");
            Checks.refused("22012", () -> value(c, "SELECT 1/0"));
            c.rollback(named);
            execute(c, insert + "'kept " + number + "')");
            c.releaseSavepoint(named);
            c.commit();
            Checks.equal(value(c, "SELECT string_agg(name, ',' ORDER BY name) FROM " + SCHEMA
                + ".items WHERE client = ?", 100 + number), "kept " + number + ",outer " + number);
            c.commit();
        }));
    }

    private static void transactions() throws Exception {
        String table = SCHEMA + ".accounts";
        execute("INSERT INTO " + table + " SELECT i, 100 FROM generate_series(0, " + (Checks.CLIENTS - 1) + ") i");
        Checks.eachClient(number -> Checks.withConnection(c -> {
            c.setAutoCommit(false);
            for (int i = 0; i < 20; i++) {
                int other = (number + i) % Checks.CLIENTS;
                String pair = "(" + number + "," + other + ")";
                execute(c, "SELECT 1 FROM " + table + " WHERE id IN " + pair + " ORDER BY id FOR UPDATE");
                String update = "UPDATE " + table + " SET balance = balance + ? WHERE id = ?";
                try (PreparedStatement s = c.prepareStatement(update)) {
                    for (int sign : new int[] {-1, 1}) {
                        s.setInt(1, sign);
                        s.setInt(2, sign < 0 ? number : other);
                        Checks.equal(s.executeUpdate(), 1);
                    }
                }
                if (i % 4 == 3) {
                    c.rollback();
                } else {
                    c.commit();
                }
            }
        }, PREPARED));
        String sum = "SELECT sum(balance)::int FROM " + table;
        Checks.withConnection(c -> Checks.equal(value(c, sum), 100 * Checks.CLIENTS));
    }

    private static void readOnly() throws Exception {
        Checks.eachClient(number -> Checks.withConnection(c -> {
            boolean readOnly = number % 2 == 0;
            c.setReadOnly(readOnly);
            c.setAutoCommit(false);
            for (int i = 0; i < 10; i++) {
                Checks.equal(value(c, "SELECT current_setting('transaction_read_only')"), readOnly ? "on" : "off");
                if (readOnly) {
                    Checks.refused("25006", () -> execute(c, "INSERT INTO " + SCHEMA + ".items (client) VALUES (0)"));
                }
                c.rollback();
            }
            c.setReadOnly(false);
            execute(c, "INSERT INTO " + SCHEMA + ".items (client) VALUES (-1)");
            c.rollback();
        }));
    }

    private static void isolation() throws Exception {
        String[] levels = {"read committed", "repeatable read", "serializable"};
        Checks.eachClient(number -> Checks.withConnection(c -> {
            String level = levels[number % 3];
            c.setAutoCommit(false);
            for (int i = 0; i < 10; i++) {
                execute(c, "SET TRANSACTION ISOLATION LEVEL " + level);
                Checks.equal(value(c, "SHOW transaction_isolation"), level);
                c.commit();
            }
        }));
    }

    private static void fetchSize() throws Exception {
        Checks.eachClient(number -> Checks.withConnection(c -> {
            c.setAutoCommit(false);
            try (PreparedStatement s = c.prepareStatement("SELECT i FROM generate_series(1, ?::int) i")) {
                s.setFetchSize(50);
                s.setInt(1, 1000 + number);
                for (int round = 0; round < 2; round++) {
                    int count = 0;
                    try (ResultSet rows = s.executeQuery()) {
                        while (rows.next()) {
                            count++;
                            if (count % 300 == 0) {
                                Checks.equal(value(c, "SELECT ?::int", count), count);
                            }
                        }
                    }
                    Checks.equal(count, 1000 + number);
                }
                s.setMaxRows(7);
                try (ResultSet rows = s.executeQuery()) {
                    int count = 0;
                    while (rows.next()) {
                        count++;
                    }
                    Checks.equal(count, 7);
                }
            }
            c.commit();
        }, number % 2 == 0 ? PREPARED : BINARY));
    }

    private static void batches() throws Exception {
        Checks.eachClient(number -> Checks.withConnection(c -> {
            int client = 200 + number;
            String insert = "INSERT INTO " + SCHEMA + ".items (client, name) VALUES (?, ?)";
            try (PreparedStatement s = c.prepareStatement(insert)) {
                for (int i = 0; i < 300; i++) {
                    s.setInt(1, client);
                    s.setString(2, "batch " + number + "." + i);
                    s.addBatch();
                }
                Checks.equal(s.executeBatch().length, 300);
                s.setInt(1, client);
                s.setString(2, "batch " + number + ".0");
                s.addBatch();
                try {
                    s.executeBatch();
                    throw new AssertionError("a duplicate went in");
                } catch (BatchUpdateException error) {
                    Checks.equal(error.getSQLState(), "23505");
                }
            }
            try (Statement s = c.createStatement()) {
                for (int i = 0; i < 20; i++) {
                    s.addBatch("UPDATE " + SCHEMA + ".items SET client = client WHERE client = " + client);
                }
                int[] counts = s.executeBatch();
                Checks.equal(Arrays.stream(counts).sum(), 20 * 300);
            }
        }, "reWriteBatchedInserts", String.valueOf(number % 2 == 0), "prepareThreshold", "1"));
    }

    private static void generatedKeys() throws Exception {
        Checks.eachClient(number -> Checks.withConnection(c -> {
            String insert = "INSERT INTO " + SCHEMA + ".items (client) VALUES (?)";
            try (PreparedStatement s = c.prepareStatement(insert, Statement.RETURN_GENERATED_KEYS)) {
                List<Integer> keys = new ArrayList<>();
                for (int i = 0; i < 10; i++) {
                    s.setInt(1, 300 + number);
                    s.executeUpdate();
                    keys.add(firstKey(s));
                }
                Checks.equal(keys.stream().distinct().count(), 10L);
                Checks.equal(value(c, "SELECT count(*) FROM " + SCHEMA + ".items WHERE id = ANY(?) AND client = ?",
                    c.createArrayOf("int4", keys.toArray()), 300 + number), 10L);
            }
        }, PREPARED));
    }

    private static int firstKey(Statement s) throws SQLException {
        try (ResultSet keys = s.getGeneratedKeys()) {
            keys.next();
            return keys.getInt("id");
        }
    }

    private static void copy() throws Exception {
        Checks.eachClient(number -> Checks.withConnection(c -> {
            CopyManager manager = c.unwrap(PGConnection.class).getCopyAPI();
            StringBuilder lines = new StringBuilder();
            for (int i = 0; i < 2000; i++) {
                lines.append(400 + number).append(",\"line ").append(i).append(" of ").append(number).append("\"\n");
            }
            String table = SCHEMA + ".items (client, name)";
            long in = manager.copyIn("COPY " + table + " FROM STDIN (FORMAT csv)", new StringReader(lines.toString()));
            Checks.equal(in, 2000L);
            ByteArrayOutputStream out = new ByteArrayOutputStream();
            String query = "SELECT client, name FROM " + SCHEMA + ".items WHERE client = " + (400 + number)
                + " ORDER BY id";
            manager.copyOut("COPY (" + query + ") TO STDOUT (FORMAT csv, FORCE_QUOTE (name))", out);
            Checks.equal(out.toString(StandardCharsets.UTF_8), lines.toString());
            Checks.refused("22P02", () -> manager.copyIn("COPY " + table + " FROM STDIN", new StringReader("x\ty\n")));
            CopyIn given = manager.copyIn("COPY " + table + " FROM STDIN");
            given.writeToCopy("1\tgiven up\n".getBytes(StandardCharsets.UTF_8), 0, 11);
            given.cancelCopy();
            Checks.equal(value(c, "SELECT ?::int", number), number);
        }));
    }

    private static void queryTimeout() throws Exception {
        Checks.eachClient(6, number -> Checks.withConnection(c -> {
            try (Statement s = c.createStatement()) {
                if (number % 2 == 0) {
                    s.setQueryTimeout(1);
                    Checks.refused("57014", () -> s.execute("SELECT pg_sleep(20)"));
                    s.setQueryTimeout(0);
                } else {
                    for (int i = 0; i < 20; i++) {
                        s.execute("SELECT pg_sleep(0.02)");
                    }
                }
            }
            Checks.equal(value(c, "SELECT ?::int", number), number);
        }));
    }

    private static void cancel() throws Exception {
        Checks.eachClient(3, number -> Checks.withConnection(c -> {
            for (int i = 0; i < 2; i++) {
                try (Statement s = c.createStatement()) {
                    Thread canceller = new Thread(() -> {
                        try {
                            Thread.sleep(300);
                            s.cancel();
                        } catch (InterruptedException | SQLException error) {
                            throw new IllegalStateException(error);
                        }
                    });
                    canceller.start();
                    Checks.refused("57014", () -> s.execute("SELECT pg_sleep(20)"));
                    canceller.join();
                }
                Checks.equal(value(c, "SELECT ?::int", number), number);
            }
        }));
    }

    private static void startupParameters() throws Exception {
        Checks.eachClient(number -> {
            String options = "-c search_path=path_" + number + ",public -c statement_timeout=" + (10001 + number);
            Checks.withConnection(c -> {
                for (int i = 0; i < 30; i++) {
                    Checks.equal(value(c, "SELECT concat_ws(' ', replace(current_setting('search_path'), ' ', ''),"
                        + " current_setting('statement_timeout'), current_setting('application_name'))"),
                        "path_" + number + ",public " + (10001 + number) + "ms app " + number);
                }
            }, "options", options, "ApplicationName", "app " + number, "assumeMinServerVersion", "9.4",
                "prepareThreshold", "1");
        });
    }

    /** The driver sends currentSchema as a startup parameter, and the time zone of the JVM. */
    private static void currentSchema() throws Exception {
        execute("CREATE TABLE " + SCHEMA + ".here AS SELECT 'here'::text AS v");
        Checks.eachClient(number -> Checks.withConnection(c -> {
            for (int i = 0; i < 20; i++) {
                if (number % 2 == 0) {
                    Checks.equal(value(c, "SELECT v FROM here"), "here");
                } else {
                    Checks.refused("42P01", () -> value(c, "SELECT v FROM here"));
                }
            }
        }, "currentSchema", number % 2 == 0 ? SCHEMA : "public", "prepareThreshold", "1"));
    }

    /** SET and RESET of what the server reports, by the extended protocol: a client's own, on every server. */
    private static void reportedSettings() throws Exception {
        Checks.eachClient(number -> Checks.withConnection(c -> {
            String zone = number % 2 == 0 ? "Asia/Tokyo" : "Europe/Berlin";
            Object own = value(c, "SHOW TimeZone"); // the JVM's: the driver sends it at startup
            for (int round = 0; round < 3; round++) {
                execute(c, "SET TimeZone = '" + zone + "'");
                for (int i = 0; i < 10; i++) {
                    Checks.equal(value(c, "SHOW TimeZone"), zone);
                }
                execute(c, round == 0 ? "RESET TimeZone" : round == 1 ? "RESET ALL" : "DISCARD ALL");
                for (int i = 0; i < 10; i++) {
                    Checks.equal(value(c, "SHOW TimeZone"), own);
                }
            }
        }, "prepareThreshold", "0"));
    }

    private static void listenAndNotify() throws Exception {
        Checks.withConnection(listener -> {
            execute(listener, "LISTEN jdbc_channel");
            Checks.withConnection(c -> {
                for (int i = 0; i < 5; i++) {
                    value(c, "SELECT pg_notify('jdbc_channel', ?)::text", "message " + i);
                }
            });
            List<String> got = new ArrayList<>();
            while (got.size() < 5) {
                for (PGNotification one : listener.unwrap(PGConnection.class).getNotifications(5000)) {
                    got.add(one.getParameter());
                }
            }
            Checks.equal(got, List.of("message 0", "message 1", "message 2", "message 3", "message 4"));
        }, "database", System.getenv("PGSESSIONDATABASE"));
    }

    /** Two-phase commit by way of XA, as an application server does it. */
    private static void twoPhaseCommit() throws Exception {
        Checks.eachClient(6, number -> {
            PGXADataSource source = new PGXADataSource();
            source.setServerNames(new String[] {System.getenv("PGHOST")});
            source.setPortNumbers(new int[] {Integer.parseInt(System.getenv("PGPORT"))});
            source.setDatabaseName(System.getenv("PGDATABASE"));
            source.setUser(System.getenv("PGUSER"));
            source.setPassword(System.getenv("PGPASSWORD"));
            var xa = source.getXAConnection();
            try {
                for (boolean commits : new boolean[] {true, false}) {
                    twoPhaseOne(xa.getXAResource(), xa.getConnection(), new TestXid(number, commits), commits);
                }
                Checks.equal(value(xa.getConnection(), "SELECT string_agg(name, ',') FROM " + SCHEMA
                    + ".items WHERE client = ?", 500 + number), "xa " + number + " true");
            } finally {
                xa.close();
            }
        });
    }

    private static void twoPhaseOne(XAResource resource, Connection c, TestXid xid, boolean commits) throws Exception {
        resource.start(xid, XAResource.TMNOFLAGS);
        execute(c, "INSERT INTO " + SCHEMA + ".items (client, name) VALUES (" + (500 + xid.number) + ", 'xa "
            + xid.number + " " + commits + "')");
        resource.end(xid, XAResource.TMSUCCESS);
        Checks.equal(resource.prepare(xid), XAResource.XA_OK);
        Xid[] recovered = resource.recover(XAResource.TMSTARTRSCAN | XAResource.TMENDRSCAN);
        boolean found = Arrays.stream(recovered).anyMatch(one -> Arrays.equals(one.getBranchQualifier(), xid.branch()));
        Checks.equal(found, true);
        if (commits) {
            resource.commit(xid, false);
        } else {
            resource.rollback(xid);
        }
        try {
            resource.commit(xid, false);
            throw new AssertionError("committed what was not there any more");
        } catch (XAException error) {
            Checks.equal(error.errorCode != 0, true);
        }
    }

    private static final class TestXid implements Xid {
        private final int number;
        private final boolean commits;

        TestXid(int number, boolean commits) {
            this.number = number;
            this.commits = commits;
        }

        byte[] branch() {
            return ("jdbc " + number + commits).getBytes(StandardCharsets.UTF_8);
        }

        @Override
        public int getFormatId() {
            return 7;
        }

        @Override
        public byte[] getGlobalTransactionId() {
            return branch();
        }

        @Override
        public byte[] getBranchQualifier() {
            return branch();
        }
    }

    private static void largeResults() throws Exception {
        Checks.eachClient(2, number -> Checks.withConnection(c -> {
            try (PreparedStatement s = c.prepareStatement("SELECT i, 'row ' || i FROM generate_series(1, 100000) i");
                    ResultSet rows = s.executeQuery()) {
                for (int i = 1; i <= 100000; i++) {
                    rows.next();
                    if (rows.getInt(1) != i || !rows.getString(2).equals("row " + i)) {
                        throw new AssertionError("row " + i + " is " + rows.getInt(1) + ", " + rows.getString(2));
                    }
                }
                Checks.equal(rows.next(), false);
            }
        }, number == 0 ? BINARY : PREPARED));
    }

    private static void largeValues() throws Exception {
        byte[] data = new byte[20 << 20];
        new java.util.Random(1).nextBytes(data);
        Checks.withConnection(c -> {
            for (int i = 0; i < 2; i++) {
                Checks.equal(Arrays.equals((byte[]) value(c, "SELECT ?::bytea", (Object) data), data), true);
            }
            String text = "ä".repeat(2 << 20);
            Checks.equal(text.equals(value(c, "SELECT ?::text", text)), true);
        }, BINARY);
    }

    private static void metadata() throws Exception {
        Checks.eachClient(4, number -> Checks.withConnection(c -> {
            try (ResultSet columns = c.getMetaData().getColumns(null, SCHEMA, "items", null)) {
                List<String> names = new ArrayList<>();
                while (columns.next()) {
                    names.add(columns.getString("COLUMN_NAME"));
                }
                Checks.equal(names, List.of("id", "client", "name"));
            }
            try (ResultSet keys = c.getMetaData().getPrimaryKeys(null, SCHEMA, "items")) {
                Checks.equal(keys.next(), true);
            }
            try (PreparedStatement s = c.prepareStatement("SELECT id, name FROM " + SCHEMA + ".items WHERE id = ?")) {
                Checks.equal(s.getMetaData().getColumnName(2), "name");
                Checks.equal(s.getParameterMetaData().getParameterTypeName(1), "int4");
            }
        }, PREPARED));
    }

    private static void churn() throws Exception {
        Checks.eachClient(number -> {
            for (int i = 0; i < 10; i++) {
                int wanted = i;
                Checks.withConnection(c -> Checks.equal(value(c, "SELECT ?::int", wanted), wanted), PREPARED);
            }
        });
    }

    private static void addStatements(Checks checks) {
        checks.add("connect_scram", JdbcChecks::connectScram);
        checks.add("query_modes", JdbcChecks::queryModes);
        checks.add("types_text_and_binary", JdbcChecks::types);
        checks.add("prepared_statements", JdbcChecks::preparedStatements);
        checks.add("prepared_evicted", JdbcChecks::preparedEvicted);
        checks.add("prepared_in_transactions", JdbcChecks::preparedInTransactions);
        checks.add("prepared_and_schema_change", JdbcChecks::preparedAndSchemaChange);
        checks.add("batches", JdbcChecks::batches);
        checks.add("generated_keys", JdbcChecks::generatedKeys);
        checks.add("metadata", JdbcChecks::metadata);
        checks.add("copy", JdbcChecks::copy);
        checks.add("large_results", JdbcChecks::largeResults);
        checks.add("large_values", JdbcChecks::largeValues);
    }

    private static void addSessions(Checks checks) {
        checks.add("error_recovery", JdbcChecks::errorRecovery);
        checks.add("autosave_always", JdbcChecks::autosaveAlways);
        checks.add("savepoints", JdbcChecks::savepoints);
        checks.add("transactions", JdbcChecks::transactions);
        checks.add("read_only", JdbcChecks::readOnly);
        checks.add("isolation", JdbcChecks::isolation);
        checks.add("fetch_size", JdbcChecks::fetchSize);
        checks.add("query_timeout", JdbcChecks::queryTimeout);
        checks.add("cancel", JdbcChecks::cancel);
        checks.add("startup_parameters", JdbcChecks::startupParameters);
        checks.add("current_schema", JdbcChecks::currentSchema);
        checks.add("reported_settings", JdbcChecks::reportedSettings);
        checks.add("listen_and_notify", JdbcChecks::listenAndNotify);
        checks.add("two_phase_commit", JdbcChecks::twoPhaseCommit);
        checks.add("connection_churn", JdbcChecks::churn);
    }

    /** Runs all checks, or those named. */
    public static void main(String[] names) throws Exception {
        Checks checks = new Checks();
        addStatements(checks);
        addSessions(checks);
        System.exit(checks.run(JdbcChecks::setup, JdbcChecks::teardown, names));
    }
}
