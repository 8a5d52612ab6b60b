import assert from 'node:assert/strict'
import { createListing, createUser } from './program.js'

// reconnecting subscribes to listings while they are created, reconnects after
// every few events, and checks that none is lost or repeated.
export async function reconnecting(name, program, connect, total = 1000) {
  const user = await createUser(program)
  const query = 'subscription($after: String) { listingCreated(after: $after) { cursor listing { id } } }'
  // The first cursor is that of any event.
  let after = await (async () => {
    const { events, close } = connect(query, {})
    const first = events.next()
    let done = false
    first.finally(() => { done = true })
    while (!done) {
      await createListing(program, user, 1)
      await new Promise(resolve => setTimeout(resolve, 50))
    }
    const { value } = await first
    await events.return()
    await close()
    return value.data.listingCreated.cursor
  })()
  const before = new Set()
  {
    // Listings that were created after that event but before this line.
    const { events, close } = connect(query, { after })
    const marker = await createListing(program, user, 1)
    for await (const { data } of events) {
      after = data.listingCreated.cursor
      before.add(data.listingCreated.listing.id)
      if (data.listingCreated.listing.id === marker) break
    }
    await close()
  }
  const created = []
  const writing = (async () => {
    let left = total
    await Promise.all(Array.from({ length: 8 }, async () => {
      while (left-- > 0) created.push(await createListing(program, user, 1))
    }))
  })()
  const seen = []
  let connections = 0
  while (seen.length < total) {
    const { events, close } = connect(query, { after })
    connections++
    const take = 1 + connections % 5
    let taken = 0
    for await (const { data, errors } of events) {
      assert.equal(errors, undefined)
      after = data.listingCreated.cursor
      seen.push(data.listingCreated.listing.id)
      if (++taken === take || seen.length >= total) break
    }
    await close()
  }
  await writing
  const lost = created.filter(id => !seen.includes(id)).length
  const repeated = seen.length - new Set(seen).size
  console.log(`RECONNECTS ${name}: ${connections} connections, ${created.length} created, lost ${lost}, repeated ${repeated}`)
  assert.equal(lost, 0)
  assert.equal(repeated, 0)
}
