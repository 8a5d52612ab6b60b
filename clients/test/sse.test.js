// graphql-sse in its distinct connections mode.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { createClient } from 'graphql-sse'
import { createUser, start } from './program.js'
import { reconnecting } from './resume.js'

test('queries, mutations and errors as events', async () => {
  const program = await start()
  const client = createClient({ url: program.graphql })
  const all = async payload => {
    const results = []
    for await (const result of client.iterate(payload)) results.push(result)
    return results
  }
  const [created] = await all({ query: 'mutation { createUser(input: {name: "a=b%26c"}) { user { id name } } }' })
  assert.equal(created.data.createUser.user.name, 'a=b%26c')
  assert.deepEqual(await all({ query: '{ users { name } }' }), [{ data: { users: [{ name: 'a=b%26c' }] } }])
  const [failed] = await all({ query: '{ nowhere }' })
  assert.equal(failed.errors[0].extensions.code, 'GRAPHQL_VALIDATION_FAILED')
  client.dispose()
})

test('the client reconnects when the program restarts', async () => {
  let program = await start()
  await createUser(program)
  let tries = 0
  const client = createClient({
    url: program.graphql, retryAttempts: 50,
    retry: async () => { tries++; await new Promise(resolve => setTimeout(resolve, 50)) },
  })
  const events = client.iterate({ query: 'subscription { listingCreated { cursor } }' })
  const first = events.next()
  await new Promise(resolve => setTimeout(resolve, 300))
  assert.equal(await program.stop(), 0)
  program = await start({ port: program.port, data: program.data })
  const poke = setInterval(() => fetch(program.url + '/public-api/listings', {
    method: 'POST', headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ user_id: 1, listing_type: 'sale', price: 5 }),
  }).catch(() => {}), 100) // a pooled connection may be that of the stopped program
  const { value } = await first
  clearInterval(poke)
  assert.ok(value.data.listingCreated.cursor)
  assert.ok(tries > 0)
  await events.return()
  client.dispose()
})

test('reconnects with the last cursor lose and repeat nothing', async () => {
  const program = await start()
  await reconnecting('graphql-sse', program, (query, variables) => {
    const client = createClient({ url: program.graphql })
    const events = client.iterate({ query, variables })
    return { events, close: () => client.dispose() }
  })
})
