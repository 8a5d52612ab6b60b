// Starts all three services of the binary in PROGRAM, on free ports.
import { spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'

const path = process.env.PROGRAM
if (!path) throw new Error('PROGRAM must be the path of the veranda binary')

export async function folder() {
  const dir = await mkdtemp(join(tmpdir(), 'veranda-clients-'))
  after(() => rm(dir, { recursive: true, force: true }))
  return dir
}

// start returns the URLs of the public layer and a function that stops the program.
// port is the public layer's.
export async function start({ port = 0, data, args = [] } = {}) {
  data ??= await folder()
  const env = { ...process.env }
  for (const name in env) if (name.startsWith('VERANDA_')) delete env[name]
  const child = spawn(path, ['--data-dir', data, '--public-port', port, '--listing-port', 0, '--user-port', 0, ...args],
    { stdio: ['ignore', 'pipe', 'pipe'], env })
  const ended = new Promise(resolve => child.once('exit', resolve))
  let out = '', err = ''
  child.stderr.on('data', text => { err += text })
  const up = new Promise((resolve, reject) => {
    child.stdout.on('data', text => {
      out += text
      const found = out.match(/start page +(http:\S+)\//)
      if (found && out.includes('Ctrl-C')) resolve(found[1])
    })
    ended.then(code => reject(new Error(`the program ended with ${code}: ${err}`)))
  })
  const stop = async (signal = 'SIGINT') => {
    child.kill(signal)
    return await ended
  }
  after(() => stop('SIGKILL'))
  process.once('exit', () => child.kill('SIGKILL'))
  const url = await up
  return { url, graphql: url + '/graphql', socket: url.replace('http', 'ws') + '/graphql', port: Number(new URL(url).port), data, stop }
}

// execute returns the data of an operation, and throws its errors.
export async function execute(program, query, variables) {
  const response = await fetch(program.graphql, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ query, variables }),
  })
  const { data, errors } = await response.json()
  if (errors) throw new Error(JSON.stringify(errors))
  return data
}

export async function createUser(program, name = 'Suresh Subramaniam') {
  const { createUser } = await execute(program, 'mutation($name: String!) { createUser(input: {name: $name}) { user { id } } }', { name })
  return createUser.user.id
}

export async function createListing(program, userId, price) {
  const { createListing } = await execute(program,
    'mutation($userId: ID!, $price: Int64!) { createListing(input: {userId: $userId, listingType: RENT, price: $price}) { listing { id } } }',
    { userId, price })
  return createListing.listing.id
}
