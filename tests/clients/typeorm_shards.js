/*
 * TypeORM at work on a database of four shards, as a service has it that keeps the orders of a user where the user is:
 * found by their keys or without, counted, created in transactions, saved. The tables are there already.
 */
'use strict'

require('reflect-metadata')
const { DataSource, EntitySchema, In, MoreThan } = require('typeorm')
const { CLIENTS, assert, check, dsn, eachClient, refused, run } = require('./checks.js')

const User = new EntitySchema({
    name: 'User',
    tableName: 'users',
    columns: {
        id: { type: 'int', primary: true },
        email: { type: 'text' },
        credit: { type: 'int', default: 0 },
        updatedAt: { type: 'timestamptz', updateDate: true, name: 'updated_at' },
        version: { type: 'int', version: true },
    },
})

const Order = new EntitySchema({
    name: 'Order',
    tableName: 'orders',
    columns: {
        id: { type: 'uuid', primary: true },
        userId: { type: 'int', primary: true, name: 'user_id' },
        status: { type: 'text', default: 'open' },
        total: { type: 'int' },
    },
    relations: {
        items: { type: 'one-to-many', target: 'OrderItem', inverseSide: 'order' },
    },
})

const OrderItem = new EntitySchema({
    name: 'OrderItem',
    tableName: 'order_items',
    columns: {
        orderId: { type: 'uuid', primary: true, name: 'order_id' },
        userId: { type: 'int', primary: true, name: 'user_id' },
        line: { type: 'int', primary: true },
        product: { type: 'text' },
    },
    relations: {
        order: {
            type: 'many-to-one',
            target: 'Order',
            inverseSide: 'items',
            joinColumn: [
                { name: 'order_id', referencedColumnName: 'id' },
                { name: 'user_id', referencedColumnName: 'userId' },
            ],
        },
    },
})

const Device = new EntitySchema({
    name: 'Device',
    tableName: 'devices',
    columns: {
        id: { type: 'int', primary: true, generated: 'increment' },
        label: { type: 'text' },
    },
})

const shop = new DataSource({
    type: 'postgres',
    host: dsn.host,
    port: dsn.port,
    database: dsn.database,
    username: dsn.user,
    password: dsn.password,
    installExtensions: false,
    entities: [User, Order, OrderItem, Device],
    extra: { max: 2 * CLIENTS },
})
const USERS = 40
const uuid = (user, number) => `00000000-0000-0000-${String(user).padStart(4, '0')}-${String(number).padStart(12, '0')}`
const users = () => shop.getRepository('User')
const orders = () => shop.getRepository('Order')

/* An order of two items, of a user whose row is locked meanwhile. */
function placeOrder(userId, number, total) {
    return shop.transaction(async (manager) => {
        const user = await manager.findOne('User', { where: { id: userId }, lock: { mode: 'pessimistic_write' } })
        if (user.credit < total) throw new Error('no credit')
        await manager.insert('Order', { id: uuid(userId, number), userId, total })
        for (const line of [1, 2])
            await manager.insert('OrderItem', { orderId: uuid(userId, number), userId, line, product: `p${line}` })
        await manager.update('User', { id: userId }, { credit: user.credit - total })
        return user
    })
}

async function setup() {
    await shop.initialize()
    for (let id = 1; id <= USERS; id++) await users().insert({ id, email: `u${id}@example.com`, credit: 100 })
    for (let id = 1; id <= USERS; id++) await placeOrder(id, 1, 10 + id)
}

check('find by id', async () => {
    await eachClient(async (number) => {
        const user = await users().findOneBy({ id: number + 1 })
        assert.equal(user.email, `u${number + 1}@example.com`)
        assert.equal(await users().findOneBy({ id: 1000 + number }), null)
    })
})

check('find by user', async () => {
    for (const userId of [1, 2, 3, 4]) {
        const [order] = await orders().find({ where: { userId }, relations: { items: true } })
        assert.equal(order.total, 10 + userId)
        assert.deepEqual(order.items.map(({ product }) => product).sort(), ['p1', 'p2'])
    }
})

check('broadcast find', async () => {
    const order = await orders().findOneBy({ id: uuid(7, 1) })
    assert.equal(order.userId, 7)
    const some = await users().find({ where: { id: In([3, 8, 5]) }, order: { id: 'DESC' } })
    assert.deepEqual(some.map(({ id }) => id), [8, 5, 3])
    const last = await users().find({ order: { id: 'DESC' }, skip: 2, take: 3 })
    assert.deepEqual(last.map(({ id }) => id), [USERS - 2, USERS - 3, USERS - 4])
})

check('count', async () => {
    assert.equal(await users().count(), USERS)
    assert.equal(await orders().countBy({ total: MoreThan(10 + 30) }), USERS - 30)
    assert.equal(await orders().sum('total'), USERS * 10 + (USERS * (USERS + 1)) / 2)
})

check('getManyAndCount', async () => {
    const query = users().createQueryBuilder('u').where('u.id > :least', { least: 10 }).orderBy('u.id').take(4)
    const [page, total] = await query.getManyAndCount()
    assert.deepEqual(page.map(({ id }) => id), [11, 12, 13, 14])
    assert.equal(total, USERS - 10)
    const [ofUser, count] = await orders().findAndCount({ where: { userId: 5 }, order: { id: 'ASC' }, take: 10 })
    assert.deepEqual([ofUser.length, count], [1, 1])
})

check('orders are created in transactions, one of a user after the other', async () => {
    await eachClient((number) => placeOrder(20 + (number % 4), 10 + number, 5))
    for (const id of [20, 21, 22, 23]) {
        assert.equal((await users().findOneBy({ id })).credit, 100 - (10 + id) - 3 * 5)
        assert.equal(await orders().countBy({ userId: id }), 4)
    }
})

check('a transaction that fails leaves nothing', async () => {
    const before = await users().findOneBy({ id: 30 })
    await assert.rejects(placeOrder(30, 2, 1000), /no credit/)
    await refused(placeOrder(30, 1, 1), '23505')
    assert.deepEqual(await users().findOneBy({ id: 30 }), before)
    assert.equal(await orders().countBy({ userId: 30 }), 1)
})

check('save of a loaded entity', async () => {
    await eachClient(async (number) => {
        const user = await users().findOneBy({ id: number + 1 })
        user.email = 'changed@example.com'
        await users().save(user)
        const now = await users().findOneBy({ id: number + 1 })
        assert.deepEqual([now.email, now.version], ['changed@example.com', user.version])
    })
    const order = await orders().findOneBy({ id: uuid(9, 1), userId: 9 })
    order.status = 'paid'
    await orders().save(order)
    assert.equal((await orders().findOneByOrFail({ userId: 9 })).status, 'paid')
})

check('rows that get their keys from the database', async () => {
    const devices = shop.getRepository('Device')
    const made = await eachClient((number) => devices.save({ label: `device ${number}` }))
    for (const [number, { id }] of made.entries())
        assert.equal((await devices.findOneByOrFail({ id })).label, `device ${number}`)
    await devices.remove(made[0])
    assert.equal(await devices.count(), CLIENTS - 1)
})

run(setup, () => shop.destroy())
