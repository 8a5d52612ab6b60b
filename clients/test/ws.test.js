// graphql-ws, the client that GraphiQL and Apollo use.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClient } from 'graphql-ws'
import WebSocket from 'ws'
import { createListing, createUser, start } from './program.js'
import { reconnecting } from './resume.js'

const connect = (program, options) => createClient({ url: program.socket, webSocketImpl: WebSocket, ...options })

test('queries, mutations and errors over one socket', async () => {
  const program = await start()
  const client = connect(program, { lazy: false })
  const one = async payload => { for await (const result of client.iterate(payload)) return result }
  const { data } = await one({ query: 'mutation { createUser(input: {name: "名前"}) { user { id name } } }' })
  assert.equal(data.createUser.user.name, '名前')
  const again = await one({ query: 'query($id: ID!) { user(id: $id) { name } }', variables: { id: data.createUser.user.id } })
  assert.deepEqual(again, { data: { user: { name: '名前' } } })
  await assert.rejects(one({ query: '{ nowhere }' }), errors => errors[0].extensions.code === 'GRAPHQL_VALIDATION_FAILED')
  const all = await Promise.all(Array.from({ length: 50 }, () => one({ query: '{ users { id } }' })))
  assert.ok(all.every(result => result.data.users.length === 1))
  await client.dispose()
})

test('a subscription resumes after a restart of the program', async () => {
  let program = await start()
  const user = await createUser(program)
  const closes = [] // codes of established connections; attempts during a restart are not counted
  let open = false
  let connected = 0
  let last = null
  const prices = []
  const client = connect(program, {
    retryAttempts: 50,
    shouldRetry: () => true, // during a restart too
    retryWait: () => new Promise(resolve => setTimeout(resolve, 50)),
    on: {
      connected() {
        open = true
        connected++
      },
      closed(event) {
        if (open) closes.push(event.code)
        open = false
      },
    },
  })
  const query = 'subscription($after: String) { listingCreated(after: $after) { cursor listing { price user { name } } } }'
  // The client reads the variables for each connection, and so sends the last cursor.
  const payload = { query, get variables() { return { after: last } } }
  let wake
  const news = () => new Promise(resolve => { wake = resolve })
  const unsubscribe = client.subscribe(payload, {
    next({ data, errors }) {
      assert.equal(errors, undefined)
      last = data.listingCreated.cursor
      prices.push(data.listingCreated.listing.price)
      wake?.()
    },
    error(err) { throw err },
    complete() {},
  })
  // The subscription is active once the first event arrives. Listings created
  // before that may be missing.
  for (let price = 1; prices.length === 0; price++) {
    await createListing(program, user, price)
    await Promise.race([news(), new Promise(resolve => setTimeout(resolve, 100))])
  }
  const first = prices[0]
  for (let round = 1; round <= 3; round++) {
    const { port, data } = program
    assert.equal(await program.stop('SIGTERM'), 0)
    program = await start({ port, data })
    await createListing(program, user, first + 1000 * round)
    while (prices.at(-1) !== first + 1000 * round) await news()
  }
  unsubscribe()
  await client.dispose()
  assert.deepEqual(prices.filter(price => price >= 1000), [1, 2, 3].map(round => first + 1000 * round))
  assert.equal(new Set(prices).size, prices.length)
  assert.deepEqual(closes.slice(0, 3), [1001, 1001, 1001])
  assert.ok(connected >= 4)
})

test('many reconnects with the last cursor lose and repeat nothing', async () => {
  const program = await start()
  await reconnecting('graphql-ws', program, (query, variables) => {
    const client = connect(program)
    const events = client.iterate({ query, variables })
    return { events, close: () => client.dispose() }
  })
})
