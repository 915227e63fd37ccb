/*
 * TypeORM at work: users, their orders and the orders' items, as an application has them, through a pool that is larger
 * than the proxy's.
 */
'use strict'

require('reflect-metadata')
const { DataSource, EntitySchema, In, Like, MoreThan } = require('typeorm')
const { CLIENTS, assert, check, dsn, eachClient, run } = require('./checks.js')

const SCHEMA = 'typeorm'
const MIGRATED = 'typeorm_migrated'

const User = new EntitySchema({
    name: 'User',
    tableName: 'users',
    columns: {
        id: { type: 'int', primary: true, generated: 'increment' },
        email: { type: 'varchar', length: 200, unique: true },
        name: { type: 'text' },
        profile: { type: 'jsonb', nullable: true },
        tags: { type: 'text', array: true, default: () => "'{}'" },
        createdAt: { type: 'timestamptz', createDate: true },
        updatedAt: { type: 'timestamptz', updateDate: true },
        version: { type: 'int', version: true },
    },
    relations: { orders: { type: 'one-to-many', target: 'Order', inverseSide: 'user', cascade: true } },
})

const Order = new EntitySchema({
    name: 'Order',
    tableName: 'orders',
    columns: {
        id: { type: 'uuid', primary: true, generated: 'uuid' },
        status: { type: 'enum', enum: ['open', 'paid', 'sent'], default: 'open' },
        total: { type: 'numeric', precision: 12, scale: 2, default: 0 },
        placedAt: { type: 'timestamptz', default: () => 'now()' },
        deletedAt: { type: 'timestamptz', deleteDate: true },
    },
    relations: {
        user: { type: 'many-to-one', target: 'User', inverseSide: 'orders', joinColumn: true, onDelete: 'CASCADE' },
        items: { type: 'one-to-many', target: 'OrderItem', inverseSide: 'order', cascade: true },
    },
    indices: [{ name: 'orders_by_status', columns: ['status', 'placedAt'] }],
})

const OrderItem = new EntitySchema({
    name: 'OrderItem',
    tableName: 'order_items',
    columns: {
        id: { type: 'bigint', primary: true, generated: 'increment' },
        product: { type: 'text' },
        quantity: { type: 'int' },
        price: { type: 'numeric', precision: 10, scale: 2 },
    },
    relations: {
        order: { type: 'many-to-one', target: 'Order', inverseSide: 'items', joinColumn: true, onDelete: 'CASCADE' },
    },
})

class Schema1700000000000 {
    name = 'Schema1700000000000'

    async up(runner) {
        await runner.query(`CREATE TABLE ${MIGRATED}.notes (id serial PRIMARY KEY, body text NOT NULL)`)
        await runner.query(`INSERT INTO ${MIGRATED}.notes (body) VALUES ($1), ($2)`, ['first', 'second'])
    }

    async down(runner) {
        await runner.query(`DROP TABLE ${MIGRATED}.notes`)
    }
}

class Length1700000000001 {
    name = 'Length1700000000001'

    async up(runner) {
        await runner.query(`ALTER TABLE ${MIGRATED}.notes
            ADD COLUMN length int GENERATED ALWAYS AS (length(body)) STORED`)
    }

    async down(runner) {
        await runner.query(`ALTER TABLE ${MIGRATED}.notes DROP COLUMN length`)
    }
}

function source(more) {
    const { host, port, database, user: username, password } = dsn
    // PostgreSQL makes UUIDs without the extension that would be installed otherwise.
    const uuids = { uuidExtension: 'pgcrypto', installExtensions: false }
    return new DataSource({ type: 'postgres', host, port, database, username, password, ...uuids, ...more })
}

const shop = source({
    schema: SCHEMA,
    entities: [User, Order, OrderItem],
    synchronize: true,
    extra: { max: 2 * CLIENTS },
})

/* A user with two orders of two items each, saved in one go. */
function saveUser(email, manager = shop.manager) {
    const item = (product, quantity) => ({ product: `${product} ${quantity}`, quantity, price: '2.50' })
    const items = (product) => [item(product, 1), item(product, 2)]
    return manager.getRepository('User').save({
        email,
        name: `Name of ${email}`,
        profile: { city: 'Zürich', tags: [1, null] },
        tags: ['a', 'b,c', 'd"e'],
        orders: [
            { total: '7.50', items: items('apple') },
            { total: '7.50', status: 'paid', items: items('pear') },
        ],
    })
}

async function setup() {
    const plain = await source({}).initialize()
    for (const schema of [SCHEMA, MIGRATED]) {
        await plain.query(`DROP SCHEMA IF EXISTS ${schema} CASCADE`)
        await plain.query(`CREATE SCHEMA ${schema}`)
    }
    await plain.destroy()
    await shop.initialize()
}

async function teardown() {
    await shop.query(`DROP SCHEMA ${SCHEMA}, ${MIGRATED} CASCADE`)
    await shop.destroy()
}

check('synchronize', async () => {
    const text = 'SELECT table_name AS name FROM information_schema.tables WHERE table_schema = $1 ORDER BY 1'
    const tables = await shop.query(text, [SCHEMA])
    assert.deepEqual(tables.map(({ name }) => name), ['order_items', 'orders', 'users'])
    // Nothing is left to do: what the driver reads from the catalogs is what it wrote.
    const { upQueries } = await shop.driver.createSchemaBuilder().log()
    assert.deepEqual(upQueries.map(({ query }) => query), [])
})

check('migrations', async () => {
    const migrated = await source({
        schema: MIGRATED,
        migrations: [Schema1700000000000, Length1700000000001],
        migrationsTransactionMode: 'each',
    }).initialize()
    try {
        assert.equal((await migrated.runMigrations()).length, 2)
        assert.deepEqual(await migrated.query(`SELECT body, length FROM ${MIGRATED}.notes ORDER BY id`), [
            { body: 'first', length: 5 },
            { body: 'second', length: 6 },
        ])
        assert.equal((await migrated.runMigrations()).length, 0)
        await migrated.undoLastMigration()
        assert.equal(await migrated.showMigrations(), true)
        const left = await migrated.query(`SELECT * FROM ${MIGRATED}.notes WHERE id = $1`, [1])
        assert.deepEqual(left, [{ id: 1, body: 'first' }])
    } finally {
        await migrated.destroy()
    }
})

check('save_and_find', async () => {
    await eachClient(async (number) => {
        const saved = await saveUser(`find${number}@example.com`)
        assert.ok(saved.id > 0 && saved.orders.every((order) => order.id && order.items.every((item) => item.id)))
        const found = await shop.getRepository('User').findOneOrFail({
            where: { id: saved.id },
            relations: { orders: { items: true } },
            order: { orders: { status: 'ASC', items: { quantity: 'ASC' } } },
        })
        assert.deepEqual(found.profile, { city: 'Zürich', tags: [1, null] })
        assert.deepEqual(found.tags, ['a', 'b,c', 'd"e'])
        assert.ok(found.createdAt instanceof Date)
        assert.deepEqual(found.orders.map(({ status, total }) => [status, total]), [['open', '7.50'], ['paid', '7.50']])
        assert.deepEqual(found.orders[1].items.map(({ product }) => product), ['pear 1', 'pear 2'])
    })
})

check('update_and_remove', async () => {
    const users = shop.getRepository('User')
    const orders = shop.getRepository('Order')
    await eachClient(async (number) => {
        const user = await saveUser(`update${number}@example.com`)
        user.name = 'Changed'
        assert.equal((await users.save(user)).version, 2)
        const result = await orders.update({ user: { id: user.id }, status: 'open' }, { status: 'sent' })
        assert.equal(result.affected, 1)
        assert.equal(await orders.countBy({ user: { id: user.id }, status: In(['sent', 'paid']) }), 2)
        await orders.softDelete({ id: user.orders[0].id })
        assert.equal(await orders.countBy({ user: { id: user.id } }), 1)
        assert.equal(await orders.count({ where: { user: { id: user.id } }, withDeleted: true }), 2)
        await orders.restore({ id: user.orders[0].id })
        await users.increment({ id: user.id }, 'version', 5)
        assert.equal((await users.findOneByOrFail({ id: user.id })).version, 7)
        await users.remove(user)
        assert.equal(await users.existsBy({ email: `update${number}@example.com` }), false)
    })
})

check('upsert_and_insert', async () => {
    const users = shop.getRepository('User')
    await eachClient(async (number) => {
        const rows = Array.from({ length: 50 }, (_, i) => ({ email: `bulk${number}.${i}@example.com`, name: `${i}` }))
        const { identifiers } = await users.insert(rows)
        assert.equal(new Set(identifiers.map(({ id }) => id)).size, 50)
        await users.upsert(rows.map((row) => ({ email: row.email, name: `again ${row.name}` })), ['email'])
        const like = Like(`bulk${number}.%`)
        assert.equal(await users.countBy({ email: like, name: Like('again %') }), 50)
        assert.equal((await users.delete({ email: like })).affected, 50)
    })
})

check('query_builder', async () => {
    await eachClient(async (number) => {
        const { id } = await saveUser(`builder${number}@example.com`)
        const rows = await shop
            .createQueryBuilder('User', 'user')
            .innerJoin('user.orders', 'o')
            .innerJoin('o.items', 'item')
            .select('o.status', 'status')
            .addSelect('sum(item.quantity * item.price)', 'sum')
            .where('user.id = :id', { id })
            .groupBy('o.status')
            .having('count(*) > :count', { count: 1 })
            .orderBy('o.status')
            .getRawMany()
        assert.deepEqual(rows, [{ status: 'open', sum: '7.50' }, { status: 'paid', sum: '7.50' }])
        const updated = await shop
            .createQueryBuilder()
            .update('Order')
            .set({ total: () => 'total * 2' })
            .where('"userId" = :id', { id })
            .returning(['id', 'total'])
            .execute()
        assert.deepEqual(updated.raw.map(({ total }) => total), ['15.00', '15.00'])
        const inner = shop.createQueryBuilder('Order', 'o').select('o."userId"').where('o.total > :least')
        const outer = shop.createQueryBuilder('User', 'user').where(`user.id IN (${inner.getQuery()})`, { least: 10 })
        assert.ok((await outer.getMany()).some((user) => user.id === id))
    })
})

check('get_many_and_count', async () => {
    await Promise.all(Array.from({ length: 25 }, (_, i) => saveUser(`page${String(i).padStart(2, '0')}@example.com`)))
    await eachClient(async (number) => {
        const page = number % 3
        const [users, count] = await shop
            .createQueryBuilder('User', 'user')
            .leftJoinAndSelect('user.orders', 'o')
            .where('user.email LIKE :like', { like: 'page%' })
            .orderBy('user.email')
            .skip(page * 10)
            .take(10)
            .getManyAndCount()
        assert.equal(count, 25)
        assert.deepEqual(users.map(({ email }) => email.slice(4, 6)),
            Array.from({ length: page < 2 ? 10 : 5 }, (_, i) => String(page * 10 + i).padStart(2, '0')))
        assert.ok(users.every(({ orders }) => orders.length === 2))
        const where = { email: Like('page%'), id: MoreThan(0) }
        const [found, all] = await shop.getRepository('User').findAndCount({ where, take: 3 })
        assert.deepEqual([found.length, all], [3, 25])
    })
})

check('stream', async () => {
    const runner = shop.createQueryRunner()
    const rows = await runner.stream('SELECT i FROM generate_series(1, $1::int) i', [5000])
    let sum = 0
    for await (const { i } of rows) sum += i
    await runner.release()
    assert.equal(sum, 12502500)
})

check('transactions', async () => {
    const levels = ['READ COMMITTED', 'REPEATABLE READ', 'SERIALIZABLE']
    const users = shop.getRepository('User')
    await eachClient(async (number) => {
        const email = `transaction${number}@example.com`
        const level = levels[number % 3]
        const lost = shop.transaction(level, async (manager) => {
            await manager.getRepository('User').insert({ email, name: 'lost' })
            throw new Error('rolled back')
        })
        await assert.rejects(lost, /rolled back/)
        assert.equal(await users.existsBy({ email }), false)
        await shop.transaction(level, async (manager) => {
            const [{ transaction_isolation: got }] = await manager.query('SHOW transaction_isolation')
            assert.equal(got, level.toLowerCase())
            await manager.getRepository('User').insert({ email, name: 'kept' })
            // A transaction inside one is a savepoint.
            const inner = manager.transaction(async (nested) => {
                await nested.getRepository('User').update({ email }, { name: 'inner' })
                await nested.query('SELECT 1/0')
            })
            await assert.rejects(inner, { code: '22012' })
        })
        assert.equal((await users.findOneByOrFail({ email })).name, 'kept')
    }, 2 * CLIENTS)
})

check('locks', async () => {
    const { id } = await shop.getRepository('User').save({ email: 'locked@example.com', name: '0' })
    await eachClient(() =>
        shop.transaction(async (manager) => {
            const users = manager.getRepository('User')
            const user = await users.findOne({ where: { id }, lock: { mode: 'pessimistic_write' } })
            user.name = String(Number(user.name) + 1)
            await users.save(user)
        })
    )
    assert.equal((await shop.getRepository('User').findOneByOrFail({ id })).name, String(CLIENTS))
})

check('serialization_failures', async () => {
    // Some of these are refused with 40001; an application tries again, and no count is lost.
    const { id } = await shop.getRepository('User').save({ email: 'serial@example.com', name: '0' })
    const count = async (tries = 200) => {
        try {
            await shop.transaction('SERIALIZABLE', async (manager) => {
                const [{ name }] = await manager.query(`SELECT name FROM ${SCHEMA}.users WHERE id = $1`, [id])
                const next = String(Number(name) + 1)
                await manager.query(`UPDATE ${SCHEMA}.users SET name = $2 WHERE id = $1`, [id, next])
            })
        } catch (error) {
            if (error.code !== '40001' || tries === 0) throw error
            await count(tries - 1)
        }
    }
    await eachClient(() => count())
    assert.equal((await shop.getRepository('User').findOneByOrFail({ id })).name, String(CLIENTS))
})

check('query_runners', async () => {
    await eachClient(async (number) => {
        const runner = shop.createQueryRunner()
        await runner.connect()
        await runner.startTransaction()
        const [{ pid }] = await runner.query('SELECT pg_backend_pid() AS pid')
        await saveUser(`runner${number}@example.com`, runner.manager)
        const [again] = await runner.query('SELECT pg_backend_pid() AS pid')
        assert.equal(again.pid, pid)
        await (number % 2 ? runner.commitTransaction() : runner.rollbackTransaction())
        await runner.release()
    }, 2 * CLIENTS)
    assert.equal(await shop.getRepository('User').countBy({ email: Like('runner%') }), CLIENTS)
})

check('errors', async () => {
    const users = shop.getRepository('User')
    await users.insert({ email: 'twice@example.com', name: 'once' })
    await eachClient(async (number) => {
        const again = users.insert({ email: 'twice@example.com', name: 'again' })
        await assert.rejects(again, { code: '23505', table: 'users' })
        await assert.rejects(shop.query('SELECT nothing_such'), { code: '42703' })
        assert.deepEqual(await shop.query('SELECT $1::int AS v', [number]), [{ v: number }])
    })
})

run(setup, teardown)
