// Mercurius as fast as its options make it: the JIT on, a process for each core,
// and a loader of users, which batches, without its cache, whose keys cost more
// than removing repeated ids by hand. Prices fit a JavaScript number.
// Usage: node mercurius.mjs LISTING_SERVICE_URL USER_SERVICE_URL PORT PROCESSES
import cluster from 'node:cluster'
import Fastify from 'fastify'
import mercurius from 'mercurius'
import { GraphQLScalarType } from 'graphql'
import { Pool } from 'undici'

const [listings, users, port, processes] = process.argv.slice(2)

if (cluster.isPrimary && Number(processes) > 1) {
  for (let i = 0; i < Number(processes); i++) cluster.fork()
} else {
  const pools = { listings: new Pool(listings, { connections: 256 }), users: new Pool(users, { connections: 256 }) }
  const get = async (pool, path) => {
    const { statusCode, body } = await pool.request({ path, method: 'GET' })
    if (statusCode !== 200) throw new Error(`status ${statusCode}`)
    return body.json()
  }
  const whole = (v) => v
  const app = Fastify()
  app.register(mercurius, {
    jit: 1,
    schema: `
      scalar Int64
      type Query { listings(pageNum: Int! = 1, pageSize: Int! = 10): [Listing!]! }
      type Listing { id: ID! listingType: String! price: Int64! createdAt: Int64! updatedAt: Int64! user: User }
      type User { id: ID! name: String! createdAt: Int64! updatedAt: Int64! }`,
    resolvers: {
      Int64: new GraphQLScalarType({ name: 'Int64', serialize: whole, parseValue: whole }),
      Query: {
        listings: async (_, { pageNum, pageSize }) =>
          (await get(pools.listings, `/listings?page_num=${pageNum}&page_size=${pageSize}`)).listings
      }
    },
    loaders: {
      Listing: {
        user: {
          opts: { cache: false },
          async loader (queries) {
            const ids = [...new Set(queries.map(({ obj }) => obj.user_id))]
            const found = await get(pools.users, '/users/batch?' + ids.map((id) => 'id=' + id).join('&'))
            const byID = new Map(found.users.map((u) => [u.id, u]))
            return queries.map(({ obj }) => byID.get(obj.user_id) ?? null)
          }
        }
      }
    }
  })
  await app.listen({ host: '127.0.0.1', port: Number(port) })
}
