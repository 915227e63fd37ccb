// Go's database/sql with lib/pq at work: each check is what an application does, with more connections than the proxy
// has servers. lib/pq is the driver that sends Parse and Describe of the unnamed statement in one batch, and its Bind
// in the next one.
package main

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"time"

	"github.com/lib/pq"
)

// At once, where a check is about sharing: three times the servers that the proxy under test has.
const clients = 12

const schema = "go_pq"

var checks = []struct {
	name string
	run  func() error
}{
	{"connect_scram", connectScram},
	{"simple_queries", simpleQueries},
	{"unnamed_statements", unnamedStatements},
	{"prepared_statements", preparedStatements},
	{"binary_parameters", binaryParameters},
	{"types", types},
	{"transactions", transactions},
	{"isolation_and_read_only", isolationAndReadOnly},
	{"error_recovery", errorRecovery},
	{"pool", pool},
	{"copy_in", copyIn},
	{"context_cancel", contextCancel},
	{"statement_timeout", statementTimeout},
	{"startup_parameters", startupParameters},
	{"listen_and_notify", listenAndNotify},
	{"large_result", largeResult},
	{"large_value", largeValue},
	{"connection_churn", connectionChurn},
}

// open gives a handle; the settings are of lib/pq's connection string.
func open(settings string) *sql.DB {
	dsn := fmt.Sprintf("host=%s port=%s dbname=%s user=%s password=%s sslmode=disable %s", os.Getenv("PGHOST"),
		os.Getenv("PGPORT"), os.Getenv("PGDATABASE"), os.Getenv("PGUSER"), os.Getenv("PGPASSWORD"), settings)
	db, err := sql.Open("postgres", dsn)
	if err != nil {
		panic(err) // the text above is wrong
	}
	return db
}

// withDB runs the work with a handle of its own.
func withDB(settings string, work func(*sql.DB) error) error {
	db := open(settings)
	defer db.Close()
	return work(db)
}

// withConn runs the work with one connection, for as long as that takes.
func withConn(settings string, work func(context.Context, *sql.Conn) error) error {
	return withDB(settings, func(db *sql.DB) error {
		conn, err := db.Conn(context.Background())
		if err != nil {
			return err
		}
		defer conn.Close()
		return work(context.Background(), conn)
	})
}

// eachClient runs the work for each number at once and returns the first error.
func eachClient(count int, work func(int) error) error {
	failures := make([]error, count)
	var all sync.WaitGroup
	for i := 0; i < count; i++ {
		all.Add(1)
		go func(i int) {
			defer all.Done()
			defer asError(&failures[i])
			failures[i] = work(i)
		}(i)
	}
	all.Wait()
	for i, err := range failures {
		if err != nil {
			return fmt.Errorf("client %d: %w", i, err)
		}
	}
	return nil
}

// asError turns a panic into an error: lib/pq panics when a server's answer is not the one that is due.
func asError(err *error) {
	if trouble := recover(); trouble != nil {
		*err = fmt.Errorf("panic: %v", trouble)
	}
}

func eachConn(settings func(int) string, work func(context.Context, *sql.Conn, int) error) error {
	return eachClient(clients, func(i int) error {
		return withConn(settings(i), func(ctx context.Context, conn *sql.Conn) error { return work(ctx, conn, i) })
	})
}

func noSettings(int) string { return "" }

func equal(got, wanted interface{}) error {
	if reflect.DeepEqual(got, wanted) {
		return nil
	}
	return fmt.Errorf("got %.300s, wanted %.300s", fmt.Sprintf("%#v", got), fmt.Sprintf("%#v", wanted))
}

// refused checks that the error is PostgreSQL's with that SQLSTATE.
func refused(err error, code string) error {
	var told *pq.Error
	if errors.As(err, &told) && string(told.Code) == code {
		return nil
	}
	return fmt.Errorf("got the error %v, wanted %s", err, code)
}

type queryer interface {
	QueryRowContext(ctx context.Context, query string, args ...interface{}) *sql.Row
}

// valueIs checks the only column of the only row.
func valueIs(q queryer, wanted int64, query string, args ...interface{}) error {
	var got int64
	if err := q.QueryRowContext(context.Background(), query, args...).Scan(&got); err != nil {
		return err
	}
	return equal(got, wanted)
}

func textIs(q queryer, wanted, query string, args ...interface{}) error {
	var got string
	if err := q.QueryRowContext(context.Background(), query, args...).Scan(&got); err != nil {
		return err
	}
	return equal(got, wanted)
}

// first returns the first error.
func first(all ...error) error {
	for _, err := range all {
		if err != nil {
			return err
		}
	}
	return nil
}

func execute(statements ...string) error {
	return withDB("", func(db *sql.DB) error {
		for _, statement := range statements {
			if _, err := db.Exec(statement); err != nil {
				return err
			}
		}
		return nil
	})
}

func connectScram() error {
	if err := withDB("", func(db *sql.DB) error { return db.Ping() }); err != nil {
		return err
	}
	ping := func(settings, code string) error {
		return withDB(settings, func(db *sql.DB) error { return refused(db.Ping(), code) })
	}
	return first(ping("password=wrong", "28P01"), ping("user=nobody_of_that_name", "28P01"),
		ping("dbname=no_such_database", "3D000"))
}

func simpleQueries() error {
	return eachConn(noSettings, func(ctx context.Context, conn *sql.Conn, i int) error {
		rows, err := conn.QueryContext(ctx, "SELECT 1; SELECT 2, 'x'")
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
		}
		if !rows.NextResultSet() || !rows.Next() {
			return fmt.Errorf("no second result: %v", rows.Err())
		}
		var number int
		var text string
		if err := rows.Scan(&number, &text); err != nil {
			return err
		}
		return first(equal(number, 2), equal(text, "x"))
	})
}

// unnamedStatements: what is parsed in one batch is bound in the next, whatever server that gets.
func unnamedStatements() error {
	return eachConn(noSettings, func(ctx context.Context, conn *sql.Conn, i int) error {
		for n := int64(0); n < 60; n++ {
			err := first(valueIs(conn, n+int64(i), fmt.Sprintf("SELECT $1::int + %d", i), n),
				textIs(conn, fmt.Sprint(n), "SELECT $1::text", fmt.Sprint(n)))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// preparedStatements: the driver's names ("1", "2" ...) are the same in every connection, their texts are not.
func preparedStatements() error {
	return eachConn(noSettings, func(ctx context.Context, conn *sql.Conn, i int) error {
		for round := 0; round < 5; round++ {
			stmt, err := conn.PrepareContext(ctx, fmt.Sprintf("SELECT $1::int * 2 + %d", i))
			if err != nil {
				return err
			}
			for n := 0; n < 20; n++ {
				var got int
				if err := stmt.QueryRow(n).Scan(&got); err != nil {
					return err
				}
				if err := equal(got, 2*n+i); err != nil {
					return err
				}
			}
			if err := stmt.Close(); err != nil {
				return err
			}
		}
		return nil
	})
}

func binaryParameters() error {
	settings := func(int) string { return "binary_parameters=yes" }
	return eachConn(settings, func(ctx context.Context, conn *sql.Conn, i int) error {
		for n := int64(0); n < 40; n++ {
			data := []byte{0, byte(n), 255, '\\'}
			var got []byte
			if err := conn.QueryRowContext(ctx, "SELECT $1::bytea", data).Scan(&got); err != nil {
				return err
			}
			if err := first(equal(got, data), valueIs(conn, n, "SELECT $1::int8", n)); err != nil {
				return err
			}
		}
		return nil
	})
}

func types() error {
	const text = "naïve — 日本語 \U0001f418 'quote' \\ \n tab\t"
	moment := time.Date(2024, 2, 29, 12, 34, 56, 789000, time.UTC)
	data := bytes.Repeat([]byte{0, 1, 127, 128, 255, '\\', '\''}, 10)
	return eachConn(noSettings, func(ctx context.Context, conn *sql.Conn, i int) error {
		_, err := conn.ExecContext(ctx, "INSERT INTO "+schema+".types VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)", i,
			int64(-9223372036854775808), 0.1, text, data, moment, true, pq.Array([]int64{1, -2}),
			pq.Array([]string{"a,b", `c"d`, "{}", ""}))
		if err != nil {
			return err
		}
		var got struct {
			big     int64
			float   float64
			text    string
			data    []byte
			moment  time.Time
			yes     bool
			numbers []int64
			texts   []string
			nothing sql.NullString
		}
		row := conn.QueryRowContext(ctx, "SELECT a, b, c, d, e, f, g, h, NULL::text FROM "+schema+".types WHERE id = $1", i)
		err = row.Scan(&got.big, &got.float, &got.text, &got.data, &got.moment, &got.yes, pq.Array(&got.numbers),
			pq.Array(&got.texts), &got.nothing)
		return first(err, equal(got.big, int64(-9223372036854775808)), equal(got.float, 0.1), equal(got.text, text),
			equal(got.data, data), equal(got.moment.UTC(), moment), equal(got.yes, true),
			equal(got.numbers, []int64{1, -2}), equal(got.texts, []string{"a,b", `c"d`, "{}", ""}),
			equal(got.nothing.Valid, false))
	})
}

func transactions() error {
	fill := fmt.Sprintf("INSERT INTO %s.accounts SELECT i, 100 FROM generate_series(0, %d) i", schema, clients-1)
	if err := execute(fill); err != nil {
		return err
	}
	err := eachConn(noSettings, func(ctx context.Context, conn *sql.Conn, i int) error {
		for n := 0; n < 20; n++ {
			if err := transfer(ctx, conn, i, (i+n)%clients, n%4 != 3); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	return withDB("", func(db *sql.DB) error {
		return valueIs(db, 100*clients, "SELECT sum(balance) FROM "+schema+".accounts")
	})
}

func transfer(ctx context.Context, conn *sql.Conn, from, to int, commits bool) error {
	tx, err := conn.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	lock := "SELECT 1 FROM " + schema + ".accounts WHERE id = ANY($1) ORDER BY id FOR UPDATE"
	if _, err = tx.Exec(lock, pq.Array([]int{from, to})); err != nil {
		return err
	}
	for id, sign := range map[int]int{from: -1, to: 1} {
		if from == to {
			break
		}
		if _, err = tx.Exec("UPDATE "+schema+".accounts SET balance = balance + $1 WHERE id = $2", sign, id); err != nil {
			return err
		}
	}
	if _, err = tx.Exec("SAVEPOINT s"); err != nil {
		return err
	}
	_, failure := tx.Exec("SELECT 1/0")
	_, skipped := tx.Exec("SELECT 1")
	_, err = tx.Exec("ROLLBACK TO SAVEPOINT s")
	if err = first(refused(failure, "22012"), refused(skipped, "25P02"), err); err != nil || !commits {
		return err
	}
	return tx.Commit()
}

func isolationAndReadOnly() error {
	levels := map[sql.IsolationLevel]string{sql.LevelReadCommitted: "read committed",
		sql.LevelRepeatableRead: "repeatable read", sql.LevelSerializable: "serializable"}
	return eachConn(noSettings, func(ctx context.Context, conn *sql.Conn, i int) error {
		for level, name := range levels {
			tx, err := conn.BeginTx(ctx, &sql.TxOptions{Isolation: level, ReadOnly: i%2 == 0})
			if err != nil {
				return err
			}
			wanted := name + " " + map[bool]string{true: "on", false: "off"}[i%2 == 0]
			err = textIs(tx, wanted, "SELECT current_setting('transaction_isolation') || ' ' || "+
				"current_setting('transaction_read_only')")
			if err = first(err, tx.Commit()); err != nil {
				return err
			}
		}
		return nil
	})
}

func errorRecovery() error {
	return eachConn(noSettings, func(ctx context.Context, conn *sql.Conn, i int) error {
		for n := 0; n < 5; n++ {
			_, unknown := conn.ExecContext(ctx, "SELECT * FROM no_such_table WHERE id = $1", n)
			_, zero := conn.ExecContext(ctx, "SELECT 1 / $1::int", 0)
			_, syntax := conn.ExecContext(ctx, "SELEC")
			err := first(refused(unknown, "42P01"), refused(zero, "22012"), refused(syntax, "42601"),
				valueIs(conn, int64(i), "SELECT $1::int", i))
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// pool: an application's own pool in front of ours, with statements that it prepares on whatever connection it takes.
func pool() error {
	db := open("")
	defer db.Close()
	db.SetMaxOpenConns(2 * clients)
	db.SetMaxIdleConns(clients)
	stmt, err := db.Prepare("SELECT $1::int + 1")
	if err != nil {
		return err
	}
	defer stmt.Close()
	return eachClient(4*clients, func(i int) error {
		for n := 0; n < 10; n++ {
			var got int
			if err := stmt.QueryRow(n).Scan(&got); err != nil {
				return err
			}
			if err := first(equal(got, n+1), valueIs(db, int64(i), "SELECT $1::int", i)); err != nil {
				return err
			}
		}
		return nil
	})
}

func copyIn() error {
	return eachConn(noSettings, func(ctx context.Context, conn *sql.Conn, i int) error {
		tx, err := conn.BeginTx(ctx, nil)
		if err != nil {
			return err
		}
		defer tx.Rollback()
		stmt, err := tx.Prepare(pq.CopyInSchema(schema, "lines", "id", "line"))
		if err != nil {
			return err
		}
		for n := 0; n < 2000; n++ {
			if _, err = stmt.Exec(i, fmt.Sprintf("line %d\twith a tab", n)); err != nil {
				return err
			}
		}
		if _, err = stmt.Exec(); err != nil {
			return err
		}
		if err = first(stmt.Close(), tx.Commit()); err != nil {
			return err
		}
		return valueIs(conn, 2000, "SELECT count(*) FROM "+schema+".lines WHERE id = $1 AND line LIKE E'%\t%'", i)
	})
}

func contextCancel() error {
	return eachClient(6, func(i int) error {
		return withDB("", func(db *sql.DB) error {
			if i%2 == 1 { // these must not be hit
				for n := 0; n < 20; n++ {
					if _, err := db.Exec("SELECT pg_sleep(0.02)"); err != nil {
						return err
					}
				}
				return nil
			}
			for n := 0; n < 2; n++ {
				ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
				began := time.Now()
				_, err := db.ExecContext(ctx, "SELECT pg_sleep(20)")
				cancel()
				if err == nil || time.Since(began) > 19*time.Second {
					return fmt.Errorf("after %v the sleep ended with the error %v", time.Since(began), err)
				}
				if err = valueIs(db, int64(i), "SELECT $1::int", i); err != nil {
					return err
				}
			}
			return nil
		})
	})
}

func statementTimeout() error {
	settings := func(i int) string { return []string{"", "options='-c statement_timeout=150'"}[i%2] }
	return eachConn(settings, func(ctx context.Context, conn *sql.Conn, i int) error {
		if i%2 == 0 {
			_, err := conn.ExecContext(ctx, "SELECT pg_sleep(0.3)")
			return first(err, textIs(conn, "0", "SHOW statement_timeout"))
		}
		_, err := conn.ExecContext(ctx, "SELECT pg_sleep(10)")
		return first(refused(err, "57014"), valueIs(conn, int64(i), "SELECT $1::int", i))
	})
}

// startupParameters: what lib/pq does not know in its connection string it sends as a startup parameter.
func startupParameters() error {
	settings := func(i int) string {
		return fmt.Sprintf("application_name='app %d' search_path=path_%d work_mem=%dMB timezone=Asia/Tokyo", i, i, i+1)
	}
	return eachConn(settings, func(ctx context.Context, conn *sql.Conn, i int) error {
		wanted := fmt.Sprintf("app %d path_%d %dMB Asia/Tokyo", i, i, i+1)
		for n := 0; n < 40; n++ {
			err := textIs(conn, wanted, "SELECT concat_ws(' ', current_setting('application_name'), "+
				"current_setting('search_path'), current_setting('work_mem'), current_setting('TimeZone'))")
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func listenAndNotify() error {
	dsn := fmt.Sprintf("host=%s port=%s dbname=%s user=%s password=%s sslmode=disable", os.Getenv("PGHOST"),
		os.Getenv("PGPORT"), os.Getenv("PGSESSIONDATABASE"), os.Getenv("PGUSER"), os.Getenv("PGPASSWORD"))
	listener := pq.NewListener(dsn, time.Second, time.Second, nil)
	defer listener.Close()
	if err := listener.Listen("go_channel"); err != nil {
		return err
	}
	if err := execute("SELECT pg_notify('go_channel', 'one')", "NOTIFY go_channel, 'two'"); err != nil {
		return err
	}
	for _, wanted := range []string{"one", "two"} {
		select {
		case got := <-listener.Notify:
			if got == nil || got.Extra != wanted {
				return fmt.Errorf("got %v, wanted %s", got, wanted)
			}
		case <-time.After(10 * time.Second):
			return fmt.Errorf("%s never came", wanted)
		}
	}
	return nil
}

func largeResult() error {
	return eachClient(2, func(int) error {
		return withDB("", func(db *sql.DB) error {
			rows, err := db.Query("SELECT i, 'row ' || i FROM generate_series(1, $1::int) i", 100000)
			if err != nil {
				return err
			}
			defer rows.Close()
			count := 0
			for rows.Next() {
				var number int
				var text string
				if err := rows.Scan(&number, &text); err != nil {
					return err
				}
				count++
				if number != count || text != fmt.Sprint("row ", count) {
					return fmt.Errorf("row %d is %d, %s", count, number, text)
				}
			}
			return first(rows.Err(), equal(count, 100000))
		})
	})
}

func largeValue() error {
	return withDB("", func(db *sql.DB) error {
		text := strings.Repeat("0123456789abcdef", 20<<16)
		var got string
		if err := db.QueryRow("SELECT $1::text", text).Scan(&got); err != nil {
			return err
		}
		return first(equal(got == text, true), valueIs(db, int64(len(text)), "SELECT length('"+text+"')"))
	})
}

func connectionChurn() error {
	return eachClient(clients, func(i int) error {
		for n := 0; n < 10; n++ {
			err := withDB("", func(db *sql.DB) error { return valueIs(db, int64(n), "SELECT $1::int", n) })
			if err != nil {
				return err
			}
		}
		return nil
	})
}

// runOne runs a check; one that hangs ends the program, for what it holds would spoil the others.
func runOne(name string, run func() error, limit time.Duration) bool {
	began := time.Now()
	done := make(chan error, 1)
	go func() {
		var err error
		defer func() { done <- err }()
		defer asError(&err)
		err = run()
	}()
	select {
	case err := <-done:
		fmt.Fprintf(os.Stderr, "%s: %.2f s\n", name, time.Since(began).Seconds())
		if err == nil {
			fmt.Println("ok", name)
			return true
		}
		fmt.Printf("not ok %s: %s\n", name, strings.ReplaceAll(err.Error(), "\n", " | "))
		return false
	case <-time.After(limit):
		fmt.Printf("not ok %s: still running after %v\n", name, limit)
		panic(name + " hangs")
	}
}

func main() {
	limit, err := time.ParseDuration(os.Getenv("CHECK_LIMIT_S") + "s")
	if err != nil {
		limit = time.Minute
	}
	wanted := map[string]bool{}
	for _, name := range os.Args[1:] {
		wanted[name] = true
	}
	count := len(wanted)
	if count == 0 {
		count = len(checks)
	}
	fmt.Printf("1..%d\n", count)
	err = execute("DROP SCHEMA IF EXISTS "+schema+" CASCADE", "CREATE SCHEMA "+schema,
		"CREATE TABLE "+schema+".accounts (id int PRIMARY KEY, balance bigint NOT NULL)",
		"CREATE TABLE "+schema+".lines (id int, line text)",
		"CREATE TABLE "+schema+".types (id int, a int8, b float8, c text, d bytea, e timestamptz, f bool, g int8[], "+
			"h text[])")
	passed := true
	for _, check := range checks {
		if err == nil && (len(wanted) == 0 || wanted[check.name]) {
			passed = runOne(check.name, check.run, limit) && passed
		}
	}
	err = first(err, execute("DROP SCHEMA "+schema+" CASCADE"))
	if err != nil {
		fmt.Println("not ok setup or teardown:", err)
	}
	if err != nil || !passed {
		os.Exit(1)
	}
}
