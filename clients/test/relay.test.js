// Relay's compiler accepts the schema, and its manifest works as the trusted
// documents of the program.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { cp, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import compiler from 'relay-compiler'
import { createListing, createUser, folder, start } from './program.js'

const here = import.meta.dirname

test('the compiler accepts the schema; only documents of its manifest run', async () => {
  const dir = await folder()
  await cp(join(here, '../relay'), dir, { recursive: true })
  await cp(join(here, '../../schema.graphqls'), join(dir, 'schema.graphql'))
  const { stdout, stderr } = await promisify(execFile)(compiler, ['relay.config.json'], { cwd: dir })
  console.log('RELAY ' + (stdout + stderr).match(/compiled documents: .*/)[0])
  const manifest = join(dir, 'documents.json')
  const documents = JSON.parse(await readFile(manifest, 'utf8'))
  const named = Object.fromEntries(Object.entries(documents).map(([id, text]) => [text.match(/^\w+ (\w+)/m)[1], id]))
  assert.deepEqual(Object.keys(named).sort(), ['ListingsPageCardQuery', 'ListingsPageCreateMutation', 'ListingsPageNewsSubscription',
    'ListingsPagePaginationQuery', 'ListingsPageQuery'])

  const open = await start()
  await createUser(open)
  for (let i = 1; i <= 3; i++) await createListing(open, '1', i)
  await open.stop()
  const program = await start({ data: open.data, args: ['--trusted-documents', manifest, '--trusted-documents-only'] })
  const run = async body => {
    const response = await fetch(program.graphql, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) })
    return await response.json()
  }
  const first = await run({ documentId: named.ListingsPageQuery, variables: { first: 2 } })
  assert.equal(first.errors, undefined)
  const { edges, pageInfo } = first.data.listingsConnection
  assert.deepEqual(edges.map(edge => edge.node.price), [3, 2])
  const next = await run({ documentId: named.ListingsPagePaginationQuery, variables: { first: 2, after: pageInfo.endCursor } })
  assert.deepEqual(next.data.listingsConnection.edges.map(edge => edge.node.price), [1])
  const card = await run({ documentId: named.ListingsPageCardQuery, variables: { nodeId: edges[0].node.nodeId } })
  assert.equal(card.data.node.price, 3)
  const created = await run({
    documentId: named.ListingsPageCreateMutation,
    variables: { input: { userId: '1', listingType: 'SALE', price: 4 } },
  })
  assert.equal(created.data.createListing.listing.price, 4)
  for (const body of [{ query: '{ listings { id } }' }, { documentId: 'x' }, { query: '{ __schema { queryType { name } } }' }]) {
    const { errors } = await run(body)
    assert.equal(errors[0].extensions.code, 'DOCUMENT_NOT_TRUSTED')
  }
})
