/*
 * node-postgres at work on a database of four shards: queued queries, named statements, texts of several statements,
 * transactions over a pool.
 */
'use strict'

const { Client, Pool } = require('pg')
const { assert, check, dsn, refused, run } = require('./checks.js')

const INSERT = 'INSERT INTO users (id, email, version) VALUES ($1, $2, 1)'
const COUNT = "SELECT count(*)::int AS n FROM users WHERE email = 'node'"

async function withClient(work) {
    const client = new Client(dsn)
    await client.connect()
    try {
        await work(client)
    } finally {
        await client.end()
    }
}

check('queued queries', () =>
    withClient(async client => {
        const ids = Array.from({ length: 20 }, (_, n) => n + 1)
        await Promise.all(ids.map(id => client.query({ name: 'insert', text: INSERT, values: [id, 'node'] })))
        const found = await Promise.all(ids.map(id => client.query('SELECT email FROM users WHERE id = $1', [id])))
        assert.deepStrictEqual(found.map(result => result.rows[0].email), ids.map(() => 'node'))
        assert.strictEqual((await client.query(COUNT)).rows[0].n, 20)
        await client.query("DELETE FROM users WHERE email = 'node'")
    })
)

check('texts of several statements', () =>
    withClient(async client => {
        const values = [1, 2, 3].map(id => `INSERT INTO users (id, email, version) VALUES (${id}, 'node', 1)`)
        const results = await client.query(`${values.join(';')}; ${COUNT}`)
        assert.deepStrictEqual(results.map(r => r.command), ['INSERT', 'INSERT', 'INSERT', 'SELECT'])
        assert.strictEqual(results[3].rows[0].n, 3)
        const twice = client.query("DELETE FROM users WHERE id = 1; INSERT INTO users VALUES (2, 'x', 0, now(), 1)")
        await refused(twice, '23505')
        await client.query('BEGIN; DELETE FROM users WHERE id = 1; DELETE FROM users WHERE id = 2; COMMIT')
        assert.strictEqual((await client.query(COUNT)).rows[0].n, 1)
        await client.query('DELETE FROM users')
    })
)

check('transactions of a pool', async () => {
    const pool = new Pool({ ...dsn, max: 6 })
    const work = async first => {
        const client = await pool.connect()
        try {
            await client.query('BEGIN')
            for (let id = first; id < first + 4; id++) await client.query(INSERT, [id, 'node'])
            await client.query('COMMIT')
        } finally {
            client.release()
        }
    }
    await Promise.all([100, 200, 300, 400, 500, 600].map(work))
    assert.strictEqual((await pool.query(COUNT)).rows[0].n, 24)
    await pool.query('DELETE FROM users')
    await pool.end()
})

const nothing = async () => {}

run(nothing, nothing)
