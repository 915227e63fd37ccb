/*
 * postgres.js (porsager's) at work. It sends the next statement before the last one is answered, prepares each text once
 * a connection, describes before the first run, and asks pg_type for arrays when it connects.
 */
'use strict'

const { pipeline } = require('node:stream/promises')
const { Readable } = require('node:stream')
const { setTimeout: sleep } = require('node:timers/promises')
const postgres = require('postgres')
const { CLIENTS, assert, check, dsn, refused, run } = require('./checks.js')

const TYPES = `a int, b bigint, n numeric, s text, by bytea, d timestamptz, u uuid, j jsonb, ia int[], ta text[],
    m postgres_js.mood, ma postgres_js.mood[]`

/* Runs work(sql) with a pool of its own, which is closed whatever happens. */
async function withPool(work, more = {}) {
    const { user, ...where } = dsn
    const sql = postgres({ ...where, username: user, max: 1, onnotice: () => {}, ...more })
    try {
        return await work(sql)
    } finally {
        await sql.end({ timeout: 5 })
    }
}

const numbers = (count) => Array.from({ length: count }, (_, n) => n)
const plain = (rows) => rows.map((row) => ({ ...row }))

async function setup() {
    await withPool((sql) =>
        sql.unsafe(`DROP SCHEMA IF EXISTS postgres_js CASCADE; CREATE SCHEMA postgres_js;
            CREATE TYPE postgres_js.mood AS ENUM ('a', 'b'); CREATE TABLE postgres_js.types (${TYPES});
            CREATE TABLE postgres_js.accounts (id int PRIMARY KEY, balance int)`)
    )
}

async function teardown() {
    await withPool((sql) => sql`DROP SCHEMA postgres_js CASCADE`)
}

check('types', () =>
    withPool(async (sql) => {
        const row = { a: 1, b: '1099511627776', n: '1.250', s: 'é', by: Buffer.from([0, 255]), d: new Date(0) }
        const more = { u: '00000000-0000-0000-0000-000000000001', j: { k: [1] }, ia: [1, 2], ta: ['q"', 'r'] }
        const all = { ...row, ...more, m: 'a', ma: ['a', 'b'] }
        const [got] = await sql`INSERT INTO postgres_js.types ${sql({ ...all, j: sql.json(all.j) })} RETURNING *`
        assert.deepEqual({ ...got }, all)
    })
)

check('pipeline', () =>
    withPool(async (sql) => {
        const got = await Promise.all(numbers(300).map((n) => sql`SELECT ${n}::int AS n`))
        assert.deepEqual(got.map(([row]) => row.n), numbers(300))
    })
)

/* Each of many statements in flight gets its own answer, whatever becomes of its neighbours. */
check('pipeline_with_errors', () =>
    withPool(
        async (sql) => {
            const ask = (n) => {
                if (n % 7 === 3) return [sql`SELECT 1 / ${0}::int AS n`, '22012']
                if (n % 11 === 5) return [sql`SELEC ${n}`, '42601']
                if (n % 13 === 6) return [sql`SELECT pg_sleep(0.01), ${n}::int AS n`, n]
                return [sql`INSERT INTO postgres_js.accounts VALUES (${n}, ${n}) RETURNING balance AS n`, n]
            }
            const asked = numbers(90).map(ask)
            const got = await Promise.all(asked.map(([query]) => query.then(([row]) => row.n, (e) => e.code)))
            assert.deepEqual(got, asked.map(([, wanted]) => wanted))
        },
        { max: 2 }
    )
)

check('transactions', () =>
    withPool(
        async (sql) => {
            await sql.begin(async (tx) => {
                await tx`INSERT INTO postgres_js.accounts VALUES (1000, 1)`
                await refused(tx.savepoint((s) => s`INSERT INTO postgres_js.accounts VALUES (1000, 2)`), '23505')
                const found = await Promise.all(numbers(5).map(() => tx`SELECT balance FROM postgres_js.accounts
                    WHERE id = ${1000}`))
                assert.deepEqual(found.map(([row]) => row.balance), [1, 1, 1, 1, 1])
            })
            const reads = sql.begin('isolation level serializable read only', async (tx) => {
                assert.equal((await tx`SHOW transaction_isolation`)[0].transaction_isolation, 'serializable')
                await tx`DELETE FROM postgres_js.accounts`
            })
            await refused(reads, '25006')
            const [, [two]] = await sql.begin((tx) => [tx`SELECT 1`, tx`SELECT ${2}::int AS two`])
            assert.equal(two.two, 2)
        },
        { max: 3 }
    )
)

check('cursors', () =>
    withPool(async (sql) => {
        let sum = 0
        for await (const rows of sql`SELECT n FROM generate_series(1, ${500}::int) n`.cursor(33))
            for (const { n } of rows) sum += n
        assert.equal(sum, 125250)
        let seen = 0
        for await (const rows of sql`SELECT n FROM generate_series(1, 1000) n`.cursor(10))
            if ((seen += rows.length) === 50) break
        assert.equal(seen, 50)
        assert.deepEqual(plain(await sql`SELECT ${1}::int AS n`), [{ n: 1 }])
    })
)

check('copies', () =>
    withPool(async (sql) => {
        const lines = numbers(1000).map((n) => `${10000 + n}\t${n}\n`)
        await pipeline(Readable.from(lines), await sql`COPY postgres_js.accounts FROM STDIN`.writable())
        let text = ''
        for await (const chunk of await sql`COPY (SELECT * FROM postgres_js.accounts WHERE id >= 10000 ORDER BY id)
            TO STDOUT`.readable()) text += chunk
        assert.equal(text, lines.join(''))
    })
)

check('notifications', () =>
    withPool(
        async (sql) => {
            const got = []
            await new Promise((resolve, reject) => {
                const told = (payload) => got.push(payload) === 5 && resolve()
                sql.listen('postgres_js_channel', told)
                    .then(() => Promise.all(numbers(5).map((n) => sql.notify('postgres_js_channel', String(n)))))
                    .catch(reject)
            })
            assert.deepEqual(got.sort(), ['0', '1', '2', '3', '4'])
        },
        { max: 3 }
    )
)

check('cancels', () =>
    withPool(async (sql) => {
        const query = sql`SELECT pg_sleep(60)`.execute()
        await sleep(200)
        query.cancel()
        await refused(query, '57014')
        assert.deepEqual(plain(await sql`SELECT 1 AS n`), [{ n: 1 }])
    })
)

check('changed_tables', () =>
    withPool(
        async (sql) => {
            const read = () => sql`SELECT * FROM postgres_js.changing`
            await sql`CREATE TABLE postgres_js.changing AS SELECT 1 AS a`
            for (let n = 0; n < 3; n++) assert.deepEqual(plain(await read()), [{ a: 1 }])
            await sql`ALTER TABLE postgres_js.changing ADD b text DEFAULT 'x'`
            for (let n = 0; n < 3; n++) assert.deepEqual(plain(await read()), [{ a: 1, b: 'x' }])
        },
        { max: 2 }
    )
)

check('own_writes', () =>
    withPool(
        (sql) =>
            Promise.all(
                numbers(CLIENTS).map(async (client) => {
                    for (let id = 20000 + client * 100; id < 20010 + client * 100; id++) {
                        await sql`INSERT INTO postgres_js.accounts VALUES (${id}, 0)`
                        assert.equal((await sql`SELECT FROM postgres_js.accounts WHERE id = ${id}`).count, 1)
                    }
                })
            ),
        { max: CLIENTS, connection: { application_name: 'postgres_js', TimeZone: 'Asia/Tokyo' } }
    )
)

run(setup, teardown)
