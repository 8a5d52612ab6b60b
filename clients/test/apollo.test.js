// Apollo Client: persisted queries over GET, conditional requests, and
// subscriptions.
import assert from 'node:assert/strict'
import { createHash } from 'node:crypto'
import { test } from 'node:test'
import { ApolloClient, ApolloLink, HttpLink, InMemoryCache, gql } from '@apollo/client'
import { PersistedQueryLink } from '@apollo/client/link/persisted-queries'
import { GraphQLWsLink } from '@apollo/client/link/subscriptions'
import { createClient } from 'graphql-ws'
import WebSocket from 'ws'
import { createListing, createUser, start } from './program.js'

const sha256 = text => createHash('sha256').update(text).digest('hex')

// recorder returns a fetch that records a line for each request.
function recorder() {
  const lines = []
  return {
    lines,
    fetch: async (url, options) => {
      const response = await fetch(url, options)
      const { search } = new URL(url)
      const text = (options.body ?? '') + search
      lines.push(`${options.method} ${/[{&?"]query["=]/.test(text) ? 'text' : 'hash'} ${response.status}`)
      return response
    },
  }
}

test('persisted queries: the text is sent once, then its hash by GET', async () => {
  const program = await start()
  const user = await createUser(program)
  await createListing(program, user, 25_000_000_000)
  const { lines, fetch } = recorder()
  const client = new ApolloClient({
    cache: new InMemoryCache(),
    link: ApolloLink.from([
      new PersistedQueryLink({ sha256, useGETForHashedQueries: true }),
      new HttpLink({ uri: program.graphql, fetch }),
    ]),
  })
  const query = gql`query Listings($n: Int!) { listings(pageSize: $n) { id price user { id name } } }`
  for (const n of [1, 2, 3]) {
    const { data } = await client.query({ query, variables: { n } })
    assert.equal(data.listings[0].price, 25_000_000_000)
  }
  console.log(`APOLLO ${lines.join(', ')}`)
  assert.equal(lines.length, 4)
  assert.match(lines[0], /^GET hash /)
  assert.match(lines[1], / text 200$/)
  assert.deepEqual(lines.slice(2), ['GET hash 200', 'GET hash 200'])
  const { data } = await client.mutate({ mutation: gql`mutation { createUser(input: {name: "x"}) { user { id } } }` })
  assert.equal(data.createUser.user.id, '2')
  assert.ok(lines.slice(4).every(line => line.startsWith('POST')))
  await assert.rejects(client.query({ query: gql`{ listing(id: "0") { id } }` }), err => err.errors[0].extensions.code === 'BAD_INPUT')
})

test('conditional requests: an unchanged response is not sent again', async () => {
  const program = await start()
  const user = await createUser(program)
  for (const url of [program.graphql + '?query={listings{id}}', program.url + '/public-api/listings']) {
    const first = await fetch(url)
    const etag = first.headers.get('etag')
    const same = await fetch(url, { headers: { 'if-none-match': etag } })
    assert.equal(same.status, 304)
    await createListing(program, user, 7)
    const changed = await fetch(url, { headers: { 'if-none-match': etag } })
    assert.equal(changed.status, 200)
    assert.notEqual(changed.headers.get('etag'), etag)
    assert.notEqual(await changed.text(), await first.text())
  }
})

test('subscriptions over a WebSocket', async () => {
  const program = await start()
  const user = await createUser(program)
  const socket = createClient({ url: program.socket, webSocketImpl: WebSocket })
  const client = new ApolloClient({ cache: new InMemoryCache(), link: new GraphQLWsLink(socket) })
  const seen = new Promise((resolve, reject) => {
    client.subscribe({ query: gql`subscription { listingCreated { cursor listing { id price user { name } } } }` })
      .subscribe({ next: resolve, error: reject })
  })
  let done = false
  seen.finally(() => { done = true })
  while (!done) {
    await createListing(program, user, 7)
    await new Promise(resolve => setTimeout(resolve, 50))
  }
  const { data } = await seen
  assert.equal(data.listingCreated.listing.user.name, 'Suresh Subramaniam')
  await socket.dispose()
})
