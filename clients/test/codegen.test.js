// graphql-codegen generates types that TypeScript compiles.
import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { codegen } from '@graphql-codegen/core'
import * as types from '@graphql-codegen/typescript'
import * as operations from '@graphql-codegen/typescript-operations'
import { parse, validate, buildASTSchema, validateSchema } from 'graphql'
import ts from 'typescript'
import { folder } from './program.js'

const schemaFile = join(import.meta.dirname, '../../schema.graphqls')

const document = `
query Page($first: Int!, $after: String, $filter: ListingFilter) {
  listingsConnection(first: $first, after: $after, filter: $filter) {
    edges { cursor node { nodeId id price listingType createdAt user { name } } }
    pageInfo { hasNextPage endCursor }
  }
}
mutation Create($input: CreateListingInput!) { createListing(input: $input) { listing { id } } }
subscription News($after: String) { listingCreated(after: $after) { cursor listing { id price } } }
`

const use = `
import type { PageQuery, PageQueryVariables, CreateMutationVariables } from './types'
export function prices(page: PageQuery): number[] {
  return page.listingsConnection?.edges.map(edge => edge.node.price) ?? []
}
export const variables: PageQueryVariables = { first: 10, filter: { listingType: 'RENT' } }
export const input: CreateMutationVariables = { input: { userId: '1', listingType: 'SALE', price: 25_000_000_000 } }
`

test('graphql-codegen', async () => {
  const schema = parse(await readFile(schemaFile, 'utf8'))
  assert.deepEqual(validateSchema(buildASTSchema(schema)), [])
  assert.deepEqual(validate(buildASTSchema(schema), parse(document)), [])
  const config = { strictScalars: true, scalars: { Int64: 'number', Timestamp: 'number' } }
  const dir = await folder()
  const generate = async (filename, plugin) => {
    const code = await codegen({
      filename, schema, config, documents: [{ location: 'page.graphql', document: parse(document) }],
      plugins: [{ plugin: {} }], pluginMap: { plugin },
    })
    await writeFile(join(dir, filename), code)
    return code.split('\n').length
  }
  const lines = await generate('schema.ts', types) + await generate('types.ts', operations)
  await writeFile(join(dir, 'use.ts'), use)
  const program = ts.createProgram([join(dir, 'schema.ts'), join(dir, 'use.ts')], { strict: true, noEmit: true, skipLibCheck: true, target: ts.ScriptTarget.ES2022, types: [] })
  const diagnostics = ts.getPreEmitDiagnostics(program).map(d => ts.flattenDiagnosticMessageText(d.messageText, '\n'))
  console.log(`CODEGEN ${lines} lines of types`)
  assert.deepEqual(diagnostics, [])
})
