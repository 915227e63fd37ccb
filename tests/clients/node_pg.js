/*
 * node-postgres (pg, pg-cursor, pg-query-stream, pg-copy-streams) at work: each check is what an application does, with
 * more connections than the proxy has servers.
 */
'use strict'

const crypto = require('node:crypto')
const { once } = require('node:events')
const { pipeline } = require('node:stream/promises')
const { Readable } = require('node:stream')
const { setTimeout: sleep } = require('node:timers/promises')
const { Client, Pool, Query } = require('pg')
const Cursor = require('pg-cursor')
const QueryStream = require('pg-query-stream')
const copyStreams = require('pg-copy-streams')
const { CLIENTS, assert, check, dsn, eachClient, refused, run, sessionDsn } = require('./checks.js')

const SCHEMA = 'node_pg'
const TYPES = `a int2, b int4, c int8, d float8, e numeric, f text, g bytea, h timestamptz, i jsonb, j int4[], k text[],
    l uuid, m bool, n json`

/* Runs work(client) with a connection of its own, which is closed whatever happens. */
async function withClient(work, more = {}) {
    const client = new Client({ ...dsn, ...more })
    await client.connect()
    try {
        return await work(client)
    } finally {
        await client.end()
    }
}

async function value(client, text, values) {
    const result = await client.query({ text, values, rowMode: 'array' })
    return result.rows[0][0]
}

async function setup() {
    await withClient(async (client) => {
        await client.query(`DROP SCHEMA IF EXISTS ${SCHEMA} CASCADE; CREATE SCHEMA ${SCHEMA};
            CREATE TABLE ${SCHEMA}.accounts (id int PRIMARY KEY, balance int NOT NULL);
            CREATE TABLE ${SCHEMA}.lines (id int, line text);
            CREATE TABLE ${SCHEMA}.types (id int PRIMARY KEY, ${TYPES})`)
    })
}

async function teardown() {
    await withClient((client) => client.query(`DROP SCHEMA ${SCHEMA} CASCADE`))
}

check('connect_scram', async () => {
    await withClient(async (client) => {
        assert.equal(await value(client, 'SELECT current_user::text'), dsn.user)
        assert.ok(client.processID > 0)
    })
    await refused(withClient(() => {}, { password: 'wrong' }), '28P01')
    await refused(withClient(() => {}, { user: 'nobody_of_that_name' }), '28P01')
    await refused(withClient(() => {}, { database: 'no_such_database' }), '3D000')
})

check('simple_queries', async () => {
    await eachClient(() =>
        withClient(async (client) => {
            const results = await client.query("SELECT 1 AS a; SELECT 2 AS b, 'x' AS c; SELECT 3 WHERE false")
            assert.deepEqual(results.map((result) => result.rows), [[{ a: 1 }], [{ b: 2, c: 'x' }], []])
            const empty = await client.query('')
            assert.deepEqual([empty.rows, empty.command], [[], null])
            const comment = await client.query('-- nothing but a comment')
            assert.deepEqual(comment.rows, [])
        })
    )
})

check('parameters', async () => {
    await eachClient((number) =>
        withClient(async (client) => {
            for (let i = 0; i < 30; i++) {
                const { rows } = await client.query('SELECT $1::int AS i, $2::text AS t, $3::int IS NULL AS n', [
                    i,
                    `client ${number}`,
                    null,
                ])
                assert.deepEqual(rows, [{ i, t: `client ${number}`, n: true }])
            }
        })
    )
})

function typeRow() {
    const document = { a: [1, 2.5, null, 'ü'], b: { c: true } }
    return {
        a: -32768,
        b: 2147483647,
        c: '-9223372036854775808',
        d: 0.1,
        e: '123456789012345678901234567890.000000012345',
        f: "naïve — 日本語 \u{1f418} 'quote' \\ \n tab\t",
        g: Buffer.from(Array.from({ length: 256 }, (_, i) => i)),
        h: new Date('2024-02-29T12:34:56.789Z'),
        i: document,
        j: [1, null, 3],
        k: ['a,b', 'c"d', '{}', null, ''],
        l: '12345678-1234-5678-1234-567812345678',
        m: true,
        n: document,
    }
}

check('types_text', async () => {
    const row = typeRow()
    const names = Object.keys(row)
    const marks = names.map((_, i) => `$${i + 2}`).join(', ')
    const insert = `INSERT INTO ${SCHEMA}.types (id, ${names.join(', ')}) VALUES ($1, ${marks}) RETURNING *`
    await eachClient((number) =>
        withClient(async (client) => {
            const { rows } = await client.query(insert, [number, ...Object.values(row)])
            assert.deepEqual(rows, [{ id: number, ...row }])
            const none = await client.query(`INSERT INTO ${SCHEMA}.types (id) VALUES ($1) RETURNING *`, [100 + number])
            assert.deepEqual(Object.values(none.rows[0]).slice(1), names.map(() => null))
        })
    )
})

check('types_binary', async () => {
    // Values whose bytes are all ASCII: the driver takes binary fields through UTF-8, and spoils what is not.
    const text = 'SELECT $1::int2 AS a, $2::int4 AS b, $3::int8 AS c, $4::float8 AS d, $5::text AS e, $6::bool AS f'
    const wanted = { a: 0x1234, b: 0x12345678, c: String(0x123456779n), d: 2, e: 'text', f: true }
    await eachClient((number) =>
        withClient(
            async (client) => {
                for (let i = 0; i < 10; i++) {
                    const name = number % 2 ? 'binary' : undefined
                    const { rows, fields } = await client.query({ name, text, values: Object.values(wanted) })
                    assert.ok(fields.every((field) => field.format === 'binary'))
                    assert.deepEqual(rows, [wanted])
                }
            },
            { binary: true }
        )
    )
})

check('named_statements', async () => {
    // The same name in every connection: the same text in some of them, another in others.
    await eachClient((number) =>
        withClient(async (client) => {
            for (let i = 0; i < 40; i++) {
                const text = `SELECT $1::int + ${number % 3} AS v`
                const mine = await client.query({ name: 'mine', text, values: [i] })
                assert.equal(mine.rows[0].v, i + (number % 3))
                const values = [`${number}.${i}`]
                const shared = await client.query({ name: 'shared', text: 'SELECT $1::text AS v', values })
                assert.equal(shared.rows[0].v, values[0])
            }
        })
    )
})

check('named_in_transactions', async () => {
    await eachClient((number) =>
        withClient(async (client) => {
            for (let i = 0; i < 20; i++) {
                await client.query('BEGIN')
                for (const part of ['a', 'b', 'c']) {
                    const name = `${part}${i % 5}`
                    const { rows } = await client.query({ name, text: `SELECT $1::int AS ${name}`, values: [number] })
                    assert.deepEqual(rows, [{ [name]: number }])
                }
                await client.query(i % 2 ? 'COMMIT' : 'ROLLBACK')
            }
        })
    )
})

check('named_many', async () => {
    // More names than a server keeps.
    await withClient(async (client) => {
        for (let round = 0; round < 2; round++) {
            for (let i = 0; i < 400; i++) {
                const { rows } = await client.query({ name: `n${i}`, text: `SELECT $1::int + ${i} AS v`, values: [i] })
                assert.equal(rows[0].v, 2 * i)
            }
        }
    })
})

check('named_refused', async () => {
    // A name whose Parse failed is free; one whose execution failed is not.
    await eachClient((number) =>
        withClient(async (client) => {
            await refused(client.query({ name: 'again', text: 'SELECT * FROM no_such_table' }), '42P01')
            await refused(client.query({ name: 'again', text: 'SELEC' }), '42601')
            const good = { name: 'again', text: 'SELECT 10 / $1::int AS v' }
            assert.equal((await client.query({ ...good, values: [5] })).rows[0].v, 2)
            await refused(client.query({ ...good, values: [0] }), '22012')
            await refused(client.query({ ...good, values: ['x'] }), '22P02')
            assert.equal((await client.query({ ...good, values: [2] })).rows[0].v, 5)
            assert.equal(await value(client, 'SELECT $1::int', [number]), number)
        })
    )
})

check('named_and_schema_change', async () => {
    // PostgreSQL's own rule: who was told the old columns gets 0A000, who was not gets the new ones.
    const query = { name: 'columns', text: `SELECT * FROM ${SCHEMA}.changing` }
    await withClient(async (told) => {
        await told.query(`CREATE TABLE ${SCHEMA}.changing (a int); INSERT INTO ${SCHEMA}.changing VALUES (1)`)
        assert.deepEqual((await told.query(query)).rows, [{ a: 1 }])
        await withClient(async (other) => {
            await other.query(`ALTER TABLE ${SCHEMA}.changing ADD COLUMN b int DEFAULT 2`)
            assert.deepEqual((await other.query(query)).rows, [{ a: 1, b: 2 }])
        })
        await refused(told.query(query), '0A000')
        assert.equal(await value(told, 'SELECT 1'), 1)
    })
})

check('queued_queries', async () => {
    await eachClient((number) =>
        withClient(async (client) => {
            const asked = Array.from({ length: 200 }, (_, i) =>
                i % 3 ? value(client, 'SELECT $1::int', [i]) : value(client, `SELECT ${i}`)
            )
            assert.deepEqual(await Promise.all(asked), asked.map((_, i) => i), `client ${number}`)
        })
    )
})

check('pipelined_queries', async () => {
    // All on the wire at once, each with its own Sync; errors in between touch no other.
    await eachClient((number) =>
        withClient(
            async (client) => {
                const asked = Array.from({ length: 200 }, (_, i) => {
                    if (i % 20 === 7) return refused(client.query('SELECT 1 / $1::int', [0]), '22012').then(() => i)
                    const name = i % 2 ? `p${i % 6}` : undefined
                    return client
                        .query({ name, text: `SELECT $1::int + ${i % 6} AS v`, values: [i] })
                        .then(({ rows }) => rows[0].v - (i % 6))
                })
                assert.deepEqual(await Promise.all(asked), asked.map((_, i) => i), `client ${number}`)
            },
            { pipeline: true }
        )
    )
})

check('transactions', async () => {
    await withClient(async (client) => {
        await client.query(`TRUNCATE ${SCHEMA}.accounts`)
        await client.query(`INSERT INTO ${SCHEMA}.accounts SELECT i, 100 FROM generate_series(0, ${CLIENTS - 1}) i`)
    })
    await eachClient((number) =>
        withClient(async (client) => {
            for (let i = 0; i < 20; i++) {
                const pair = [number, (number + i) % CLIENTS]
                await client.query('BEGIN')
                await client.query(`SELECT 1 FROM ${SCHEMA}.accounts WHERE id = ANY($1) ORDER BY id FOR UPDATE`, [pair])
                await client.query(`UPDATE ${SCHEMA}.accounts SET balance = balance - 1 WHERE id = $1`, [pair[0]])
                await client.query('SAVEPOINT s')
                await refused(client.query(`INSERT INTO ${SCHEMA}.accounts VALUES ($1, 0)`, [number]), '23505')
                await refused(client.query('SELECT 1'), '25P02')
                await client.query('ROLLBACK TO SAVEPOINT s')
                await client.query(`UPDATE ${SCHEMA}.accounts SET balance = balance + 1 WHERE id = $1`, [pair[1]])
                await client.query(i % 4 ? 'COMMIT' : 'ROLLBACK')
            }
        })
    )
    await withClient(async (client) => {
        assert.equal(await value(client, `SELECT sum(balance)::int FROM ${SCHEMA}.accounts`), 100 * CLIENTS)
    })
})

check('error_recovery', async () => {
    await eachClient((number) =>
        withClient(async (client) => {
            for (let i = 0; i < 5; i++) {
                await refused(client.query('SELECT * FROM no_such_table'), '42P01')
                await refused(client.query('SELECT 1/$1::int', [0]), '22012')
                assert.equal(await value(client, 'SELECT $1::int', [number]), number)
                await client.query('BEGIN')
                const error = await refused(client.query('SELECT  nothing_such'), '42703')
                assert.deepEqual([error.position, error.severity], ['9', 'ERROR'])
                await refused(client.query('SELECT 1'), '25P02')
                assert.equal((await client.query('COMMIT')).command, 'ROLLBACK')
                assert.equal((await client.query('SELECT 1 AS a; SELECT 2 AS b')).length, 2)
                await refused(client.query('SELECT 1; SELECT 1/0; SELECT 2'), '22012')
            }
        })
    )
})

check('notices', async () => {
    await eachClient((number) =>
        withClient(async (client) => {
            const got = []
            client.on('notice', (notice) => got.push(notice.message))
            for (let i = 0; i < 5; i++) await client.query(`DO $$ BEGIN RAISE NOTICE '% %', ${number}, ${i}; END $$`)
            assert.deepEqual(got, [0, 1, 2, 3, 4].map((i) => `${number} ${i}`))
        })
    )
})

/*
 * Cancels the query after a while, and ends when the cancel's own connection has: PostgreSQL signals a backend twice
 * for one request, and only then are both signals on their way.
 */
async function cancelSoon(client, query) {
    await sleep(300)
    const canceller = new Client(dsn)
    canceller.cancel(client, query)
    await once(canceller.connection.stream, 'close')
}

check('cancel', async () => {
    const sleeper = () =>
        withClient(async (client) => {
            for (let i = 0; i < 2; i++) {
                const query = new Query('SELECT pg_sleep(30)')
                const ended = new Promise((done, failed) => query.on('end', done).on('error', failed))
                client.query(query)
                const cancelled = cancelSoon(client, query)
                await refused(ended, '57014')
                await cancelled
                assert.equal(await value(client, 'SELECT 1'), 1)
            }
        })
    let stop = false
    const bystander = () =>
        withClient(async (client) => {
            while (!stop) await client.query('SELECT pg_sleep(0.02)')
        })
    const bystanders = eachClient(bystander, 2)
    await eachClient(sleeper, 3).finally(() => (stop = true))
    await bystanders
})

check('statement_timeout', async () => {
    await eachClient((number) => {
        if (number % 2 === 0) {
            return withClient(async (client) => {
                await client.query('SELECT pg_sleep(0.3)')
                assert.equal(await value(client, "SELECT current_setting('statement_timeout')"), '0')
            })
        }
        const limits = [{ options: '-c statement_timeout=150' }, { statement_timeout: 150 }]
        return withClient(async (client) => {
            await refused(client.query('SELECT pg_sleep(10)'), '57014')
            assert.equal(await value(client, 'SELECT $1::int', [number]), number)
        }, limits[(number >> 1) % 2])
    })
})

check('startup_parameters', async () => {
    const zones = ['UTC', 'Asia/Tokyo', 'America/New_York', 'Europe/Berlin']
    const text = `SELECT current_setting('application_name') AS name, current_setting('TimeZone') AS zone,
        replace(current_setting('search_path'), ' ', '') AS path, current_setting('lock_timeout') AS lock`
    await eachClient((number) => {
        const zone = zones[number % zones.length]
        const options = `-c search_path=path_${number},public -c TimeZone=${zone} -c lock_timeout=${number + 1}s`
        const wanted = { name: `app ${number}`, zone, path: `path_${number},public`, lock: `${number + 1}s` }
        return withClient(
            async (client) => {
                for (let i = 0; i < 40; i++) {
                    const { rows } = await client.query(i % 2 ? { text, name: 'settings' } : text)
                    assert.deepEqual(rows, [wanted])
                }
            },
            { application_name: wanted.name, options }
        )
    })
})

check('search_path_and_names', async () => {
    // One text, one name, other tables: a statement is not shared between clients of different search_path.
    await withClient(async (client) => {
        for (const part of [0, 1, 2]) {
            const schema = `${SCHEMA}_${part}`
            await client.query(`CREATE SCHEMA ${schema}; CREATE TABLE ${schema}.t AS SELECT ${part} AS v`)
        }
    })
    try {
        await eachClient((number) =>
            withClient(
                async (client) => {
                    for (let i = 0; i < 20; i++) {
                        const { rows } = await client.query({ name: 'q', text: 'SELECT v FROM t' })
                        assert.equal(rows[0].v, number % 3)
                    }
                },
                { options: `-c search_path=${SCHEMA}_${number % 3}` }
            )
        )
    } finally {
        await withClient((client) => client.query(`DROP SCHEMA ${SCHEMA}_0, ${SCHEMA}_1, ${SCHEMA}_2 CASCADE`))
    }
})

check('listen_and_notify', async () => {
    await withClient(async (listener) => {
        const got = []
        const all = new Promise((done) => {
            listener.on('notification', ({ payload }) => got.push(payload) === 5 && done())
        })
        await listener.query('LISTEN node_channel')
        await withClient(async (client) => {
            for (let i = 0; i < 5; i++) await client.query('SELECT pg_notify($1, $2)', ['node_channel', `message ${i}`])
        })
        await all
        assert.deepEqual(got, [0, 1, 2, 3, 4].map((i) => `message ${i}`))
    }, sessionDsn)
})

check('cursor', async () => {
    // In a transaction, and outside one: there the portal lives until the cursor's Sync.
    await eachClient((number) =>
        withClient(async (client) => {
            for (const inside of [true, false]) {
                if (inside) await client.query('BEGIN')
                const cursor = client.query(new Cursor('SELECT i FROM generate_series(1, $1::int) i', [250 + number]))
                let count = 0
                for (let rows = [null]; rows.length > 0; count += rows.length) rows = await cursor.read(100)
                assert.equal(count, 250 + number)
                await cursor.close()
                const left = client.query(new Cursor('SELECT i FROM generate_series(1, 1000) i'))
                assert.equal((await left.read(10)).length, 10)
                await left.close()
                if (inside) await client.query('COMMIT')
                assert.equal(await value(client, 'SELECT $1::int', [number]), number)
            }
        })
    )
})

check('query_stream', async () => {
    await eachClient((number) =>
        withClient(async (client) => {
            const text = 'SELECT i FROM generate_series(1, $1::int) i'
            let sum = 0
            for await (const { i } of client.query(new QueryStream(text, [2000], { batchSize: 100 }))) sum += i
            assert.equal(sum, 2001000)
            for await (const { i } of client.query(new QueryStream(text, [5000]))) if (i === 10) break
            assert.equal(await value(client, 'SELECT $1::int', [number]), number)
        })
    )
})

check('copy_streams', async () => {
    await eachClient((number) =>
        withClient(async (client) => {
            const lines = Array.from({ length: 3000 }, (_, i) => `${number}\tline ${i}\n`)
            const into = client.query(copyStreams.from(`COPY ${SCHEMA}.lines FROM STDIN`))
            await pipeline(Readable.from(lines), into)
            assert.equal(into.rowCount, 3000)
            const mine = `SELECT * FROM ${SCHEMA}.lines WHERE id = ${number} ORDER BY substr(line, 6)::int`
            const out = client.query(copyStreams.to(`COPY (${mine}) TO STDOUT`))
            const chunks = []
            for await (const chunk of out) chunks.push(chunk)
            assert.equal(Buffer.concat(chunks).toString(), lines.join(''))
            const bad = client.query(copyStreams.from(`COPY ${SCHEMA}.lines FROM STDIN`))
            await refused(pipeline(Readable.from(['not a number\tx\n']), bad), '22P02')
            assert.equal(await value(client, 'SELECT $1::int', [number]), number)
        })
    )
})

check('large_results', async () => {
    await eachClient((number) =>
        withClient(
            async (client) => {
                const text = "SELECT i, 'row ' || i AS t FROM generate_series(1, 100000) i"
                const { rows } = await client.query(number ? { text, name: 'large' } : text)
                assert.equal(rows.length, 100000)
                assert.deepEqual(rows[99999], { i: 100000, t: 'row 100000' })
                assert.ok(rows.every(({ i }, at) => i === at + 1))
            }
        ), 2
    )
})

check('large_values', async () => {
    await withClient(async (client) => {
        const data = Buffer.alloc(20 << 20, crypto.randomBytes(100003))
        const { rows } = await client.query('SELECT $1::bytea AS data, md5($1::bytea) AS sum', [data])
        assert.equal(rows[0].sum, crypto.createHash('md5').update(data).digest('hex'))
        assert.ok(data.equals(rows[0].data))
        const text = 'ä'.repeat(5 << 20)
        assert.ok(text === (await value(client, 'SELECT $1::text', [text])))
        assert.equal(await value(client, `SELECT length('${text}')`), text.length)
        assert.equal(await value(client, 'SELECT 1'), 1)
    })
})

check('pool', async () => {
    // An application's own pool in front of ours: 20 connections on 4 servers.
    const pool = new Pool({ ...dsn, max: 20 })
    const asked = Array.from({ length: 400 }, (_, i) => pool.query('SELECT $1::int AS v', [i]))
    assert.deepEqual((await Promise.all(asked)).map(({ rows }) => rows[0].v), asked.map((_, i) => i))
    await eachClient(async (number) => {
        const client = await pool.connect()
        await client.query('BEGIN')
        const first = await value(client, 'SELECT pg_backend_pid()')
        assert.equal(await value(client, 'SELECT pg_backend_pid()'), first, `client ${number} changed its server`)
        await client.query('COMMIT')
        client.release()
    }, 40)
    await pool.end()
})

check('connection_churn', async () => {
    await eachClient(async (number) => {
        for (let i = 0; i <= 500 / CLIENTS; i++) {
            await withClient(async (client) => assert.equal(await value(client, 'SELECT $1::int', [number]), number))
        }
    })
})

check('vanished_clients', async () => {
    // Clients that are cut off in a transaction leave no lock and no row.
    await withClient(async (client) => client.query(`CREATE TABLE ${SCHEMA}.vanished (id int PRIMARY KEY)`))
    await eachClient(async (number) => {
        const gone = new Client(dsn)
        gone.on('error', () => {})
        await gone.connect()
        await gone.query('BEGIN')
        await gone.query(`INSERT INTO ${SCHEMA}.vanished VALUES ($1)`, [number])
        gone.connection.stream.destroy()
    })
    await withClient(
        async (client) => {
            await client.query(`INSERT INTO ${SCHEMA}.vanished SELECT generate_series(0, ${CLIENTS - 1})`)
        },
        { options: '-c lock_timeout=10s' }
    )
})

run(setup, teardown)
