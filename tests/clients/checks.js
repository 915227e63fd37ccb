/*
 * What the node.js driver programs share: a list of named checks, run one after the other, told in TAP-like lines. Each
 * prints `ok NAME`, or `not ok NAME: why`. A check that hangs ends the program: what it holds would spoil the others.
 */
'use strict'

const assert = require('node:assert/strict')

const CLIENTS = 12 // at once, where a check is about sharing: three times the servers that the proxy under test has
const LIMIT_MS = 1000 * Number(process.env.CHECK_LIMIT_S || 60)
const dsn = {
    host: process.env.PGHOST,
    port: Number(process.env.PGPORT),
    database: process.env.PGDATABASE,
    user: process.env.PGUSER,
    password: process.env.PGPASSWORD,
}
const sessionDsn = { ...dsn, database: process.env.PGSESSIONDATABASE }
const checks = []

function check(name, work) {
    checks.push({ name, work })
}

/* Runs work(number) for `count` clients at once, and ends only when all of them have: none may spoil the next check. */
async function eachClient(work, count = CLIENTS) {
    const ends = await Promise.allSettled(Array.from({ length: count }, (_, number) => work(number)))
    for (const end of ends) if (end.status === 'rejected') throw end.reason
    return ends.map((end) => end.value)
}

/* The error of that SQLSTATE that the promise is rejected with; fails if there is none. */
async function refused(promise, code) {
    const error = await promise.then(
        () => assert.fail(`no error, but ${code} was due`),
        (reason) => reason
    )
    assert.equal(error.code, code, error.stack)
    return error
}

function giveUp(name) {
    console.log(`not ok ${name}: still running after ${LIMIT_MS / 1000} s`)
    process.exit(1)
}

async function runOne({ name, work }) {
    const watchdog = setTimeout(giveUp, LIMIT_MS, name)
    const began = Date.now()
    try {
        await work()
        console.log(`ok ${name}`)
        return true
    } catch (error) {
        console.log(`not ok ${name}: ${String(error.message || error).replace(/\n/g, ' | ')}`)
        console.error(error)
        return false
    } finally {
        clearTimeout(watchdog)
        console.error(`${name}: ${(Date.now() - began) / 1000} s`)
    }
}

/* Runs setup(), every check (or those named on the command line), teardown(); exits with 1 if any failed. */
async function run(setup, teardown) {
    const names = process.argv.slice(2)
    const wanted = checks.filter(({ name }) => names.length === 0 || names.includes(name))
    console.log(`1..${wanted.length}`)
    const watchdog = setTimeout(giveUp, LIMIT_MS, 'setup')
    await setup()
    clearTimeout(watchdog)
    let passed = 0
    for (const one of wanted) passed += await runOne(one)
    setTimeout(giveUp, LIMIT_MS, 'teardown').unref()
    await teardown()
    process.exitCode = passed === wanted.length ? 0 : 1
}

module.exports = { CLIENTS, assert, check, dsn, eachClient, refused, run, sessionDsn }
