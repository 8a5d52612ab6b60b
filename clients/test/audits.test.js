// graphql-http's audits of the GraphQL over HTTP specification.
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serverAudits } from 'graphql-http'
import { start } from './program.js'

test('all audits of graphql-http pass', async t => {
  const program = await start()
  const audits = serverAudits({ url: program.graphql })
  const failed = []
  for (const audit of audits) {
    const result = await audit.fn()
    if (result.status !== 'ok') failed.push(`${audit.id} ${audit.name}: ${result.status}: ${result.reason}`)
  }
  console.log(`AUDITS ${audits.length - failed.length} of ${audits.length} passed`)
  assert.deepEqual(failed, [])
  assert.equal(audits.length, 61)
})
