import java.sql.Connection;
import java.sql.DriverManager;
import java.sql.SQLException;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Properties;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;

/**
 * What a program of checks needs: a list of them, run one after the other, told in TAP-like lines. Each prints
 * `ok NAME`, or `not ok NAME: why`. A check that hangs ends the program: what it holds would spoil the others.
 */
final class Checks {
    /** At once, where a check is about sharing: three times the servers that the proxy under test has. */
    static final int CLIENTS = 12;

    private static final long LIMIT_S = Long.parseLong(System.getenv().getOrDefault("CHECK_LIMIT_S", "60"));
    private final Map<String, Check> checks = new LinkedHashMap<>();

    interface Check {
        void run() throws Exception;
    }

    interface ClientWork {
        void run(int number) throws Exception;
    }

    interface ConnectionWork {
        void run(Connection connection) throws Exception;
    }

    /** A connection; the settings are pairs of name and value of the driver's properties. */
    static Connection connect(String... settings) throws SQLException {
        Properties properties = new Properties();
        properties.setProperty("user", System.getenv("PGUSER"));
        properties.setProperty("password", System.getenv("PGPASSWORD"));
        String database = System.getenv("PGDATABASE");
        for (int i = 0; i < settings.length; i += 2) {
            if (settings[i].equals("database")) {
                database = settings[i + 1];
            } else {
                properties.setProperty(settings[i], settings[i + 1]);
            }
        }
        String address = System.getenv("PGHOST") + ":" + System.getenv("PGPORT");
        return DriverManager.getConnection("jdbc:postgresql://" + address + "/" + database, properties);
    }

    static void withConnection(ConnectionWork work, String... settings) throws Exception {
        try (Connection connection = connect(settings)) {
            work.run(connection);
        }
    }

    /** Runs the work for each of so many clients in a thread of its own, and ends only when all have ended. */
    static void eachClient(int count, ClientWork work) throws Exception {
        ExecutorService threads = Executors.newFixedThreadPool(count);
        try {
            List<Callable<Void>> all = new ArrayList<>();
            for (int i = 0; i < count; i++) {
                int number = i;
                all.add(() -> {
                    work.run(number);
                    return null;
                });
            }
            for (Future<Void> one : threads.invokeAll(all)) {
                one.get();
            }
        } finally {
            threads.shutdownNow();
        }
    }

    static void eachClient(ClientWork work) throws Exception {
        eachClient(CLIENTS, work);
    }

    static void equal(Object got, Object wanted) {
        if (!Objects.deepEquals(got, wanted)) {
            throw new AssertionError("got " + text(got) + ", wanted " + text(wanted));
        }
    }

    private static String text(Object value) {
        String text = Arrays.deepToString(new Object[] {value});
        return text.length() <= 300 ? text : text.substring(0, 300) + "...";
    }

    /** The error of that SQLSTATE that the work ends with; fails if there is none. */
    static SQLException refused(String state, Check work) throws Exception {
        try {
            work.run();
        } catch (SQLException error) {
            if (state.equals(error.getSQLState())) {
                return error;
            }
            throw error;
        }
        throw new AssertionError("no error, but " + state + " was due");
    }

    void add(String name, Check check) {
        checks.put(name, check);
    }

    /** Runs setup, every check (or those named), teardown; returns the exit status. */
    int run(Check setup, Check teardown, String... names) throws Exception {
        if (names.length > 0) {
            checks.keySet().retainAll(Arrays.asList(names));
        }
        System.out.println("1.." + checks.size());
        setup.run();
        int failed = 0;
        for (Map.Entry<String, Check> check : checks.entrySet()) {
            long began = System.nanoTime();
            failed += runOne(check.getKey(), check.getValue()) ? 0 : 1;
            System.err.printf("%s: %.2f s%n", check.getKey(), (System.nanoTime() - began) / 1e9);
        }
        teardown.run();
        return failed == 0 ? 0 : 1;
    }

    private static boolean runOne(String name, Check check) {
        ExecutorService thread = Executors.newSingleThreadExecutor();
        Future<Void> done = thread.submit(() -> {
            check.run();
            return null;
        });
        try {
            done.get(LIMIT_S, TimeUnit.SECONDS);
            System.out.println("ok " + name);
            return true;
        } catch (ExecutionException error) {
            Throwable cause = error.getCause();
            while (cause instanceof ExecutionException) { // of a client's thread
                cause = cause.getCause();
            }
            System.out.println("not ok " + name + ": " + String.valueOf(cause).replace("\n", " | "));
            cause.printStackTrace();
            return false;
        } catch (TimeoutException | InterruptedException error) {
            System.out.println("not ok " + name + ": still running after " + LIMIT_S + " s");
            Thread.getAllStackTraces().forEach((t, stack) -> System.err.println(t + " " + Arrays.toString(stack)));
            Runtime.getRuntime().halt(1);
            return false;
        } finally {
            thread.shutdownNow();
        }
    }
}
